"""What ``llem config`` shows of other environments: versions, plugins, and why not usable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llem_core.config.errors import config_error
from llem_core.config.layers import Layer, merge, refuse_clashes
from llem_core.config.user import UserConfig, load_user_config
from llem_core.config.yaml import read_yaml
from llem_core.elsewhere.ask import look
from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.elsewhere.versions import Description
from llem_core.errors import PreFlightError
from llem_core.results.views.block import Block
from pydantic import ValidationError


def describe_environments(file: str | None) -> list[dict[str, Any]]:
    """Each environment of the user's configuration, and of a file, with what it says.

    Raises:
        ConfigError: the user's configuration or the file is wrong.
    """
    return [_described(name, each) for name, each in _environments(file).items()]


def environment_blocks(found: Sequence[dict[str, Any]]) -> list[Block]:
    """The same as text."""
    blocks = []
    for each in found:
        block = Block(f"Environment {each['name']}", each["place"])
        blocks.append(block)
        if not each["usable"]:
            block.add("not usable", each["reason"])
            continue
        block.add("python", each["python"])
        block.add("llem-core", each["llem_core"])
        block.add("plugins", ", ".join(each["plugins"]) or "none")
        for backend in each["backends"]:
            state = "usable" if backend["usable"] else "not usable"
            reason = backend["reason"].rstrip(".")
            block.add(backend["name"], f"{state}: {reason}. From {backend['owner']}.")
        block.items.extend(each["problems"])
    return blocks


def _environments(file: str | None) -> dict[str, EnvironmentConfig]:
    user = load_user_config()
    if file is None:
        return user.environments
    document = read_yaml(Path(file))
    below = Layer.read(user.experiment_defaults(), "user configuration")
    above = Layer.read(document)
    refuse_clashes([below, above])
    own = document.content.get("environments") or {}
    fields = {"environments": merge(below.fields.get("environments", {}), own)}
    try:
        return UserConfig.model_validate(fields).environments
    except ValidationError as error:
        raise config_error(error, document.place, UserConfig) from error


def _described(name: str, config: EnvironmentConfig) -> dict[str, Any]:
    place = {"name": name, "place": config.description}
    try:
        found, available = look(name, config)
    except PreFlightError as error:
        return {**place, "usable": False, "reason": _why(str(error))}
    return {**place, "usable": True, "reason": "", **_facts(found, available)}


def _facts(found: Description, available: dict[str, Any]) -> dict[str, Any]:
    return {
        "python": found.python,
        "llem_core": found.llem_core,
        "plugins": list(dict.fromkeys(plugin.description for plugin in found.plugins)),
        "backends": [
            {"name": each.name, "owner": each.owner, **available[each.name]}
            for each in found.backends.values()
        ],
        "samplers": {name: available[name] for name in found.samplers},
        "packages": found.packages,
        "problems": found.problems,
    }


def _why(message: str) -> str:
    """The reason alone; which environment it is stands above it."""
    return message.partition(" cannot be used: ")[2] or message
