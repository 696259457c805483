"""Turns pydantic's error list into one paragraph: file, key, remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from llem_core.config.yaml import Location
from llem_core.errors import ConfigError
from llem_core.plugins import plugins
from llem_core.text import nearest, without_secrets

_MOST_SHOWN = 10


Place = Callable[[Location], str]
"""Gives the origin of a value, such as ``study.yaml:12``; empty where there is nothing to say."""


class KeyedConfigError(ConfigError):
    """A mistake at one key, raised where it is not known which file the key stands in.

    Attributes:
        location: the keys that lead to it.
        text: what is wrong and what to do.
    """

    def __init__(self, location: Location, text: str) -> None:
        self.location = location
        self.text = text
        super().__init__(f"{'.'.join(map(str, location))}: {text}" if location else text)

    def at(self, place: str) -> ConfigError:
        """The same mistake with its origin."""
        return ConfigError(f"{place}: {self}") if place else self


def config_error(error: ValidationError, source: str | Place, root: type[BaseModel]) -> ConfigError:
    """Make a ``ConfigError`` of a ``ValidationError``.

    Args:
        error: what pydantic found.
        source: what the values came from, or what gives the origin of each.
        root: the model that was validated, to name the nearest valid key.
    """
    if isinstance(source, str):
        told = f"{source}: {describe(error, root)}"
    else:
        told = describe(error, root, source)
    return ConfigError(told if told.endswith("?") else f"{told}.")


def describe(error: ValidationError, root: type[BaseModel], place: Place | None = None) -> str:
    """Say all that pydantic found in one line: ``key: what is wrong; …``, each with its origin."""
    details = error.errors(include_url=False)
    shown = []
    before = ""
    for detail in details[:_MOST_SHOWN]:
        path = ".".join(map(str, detail["loc"]))
        message = _message(detail, root)
        told = f"{path}: {message}" if path else message
        here = place(detail["loc"]) if place else ""
        if here:
            told = f"{_shortened(here, before)}: {told}"
            before = here
        shown.append(told)
    if len(details) > _MOST_SHOWN:
        shown.append(f"and {len(details) - _MOST_SHOWN} more mistakes")
    return "; ".join(dict.fromkeys(shown))


def _shortened(here: str, before: str) -> str:
    """The origin; only its line where the file has just been named."""
    file, _, line = here.rpartition(":")
    return f"line {line}" if file and file == before.rpartition(":")[0] else here


def _message(detail: ErrorDetails, root: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return f"unknown key; {_nearest(detail['loc'], root)}"
    if kind == "missing":
        return "is required; add it"
    message = detail["msg"].removeprefix("Value error, ").rstrip(".")
    if kind in {"value_error", "unknown_key", "unknown_backend", "unknown_sampler"}:
        return message
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    return f"{message[:1].lower()}{message[1:]}, not {_shown(detail['input'], name)}"


def _shown(value: Any, name: str) -> str:
    text = repr(without_secrets(value, name))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nearest(location: tuple[int | str, ...], root: type[BaseModel]) -> str:
    model: type[BaseModel] | None = root
    path = list(location[:-1])
    if path[:1] == ["environments"]:
        del path[1:2]  # its keys are names that the user has chosen
    for part in path:
        model = _child(model, part)
    if model is None:
        return "remove it"
    names = list(model.model_fields)
    near = nearest(location[-1], names)
    return f"did you mean {near!r}?" if near else f"valid keys: {', '.join(names)}"


def _child(model: type[BaseModel] | None, part: int | str) -> type[BaseModel] | None:
    if model is None or isinstance(part, int):
        return model
    if part not in model.model_fields:
        launchers = plugins().launchers
        return launchers.get(part).section if part in launchers else plugins().section(part)
    found = list(_models(model.model_fields[part].annotation))
    return found[0] if found else None


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
