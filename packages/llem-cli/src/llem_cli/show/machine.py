"""What ``llem config`` shows: the machine, the plugins and the paths."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from llem_core.config.schema import experiment_schema, study_schema
from llem_core.config.user import load_user_config, user_config_path
from llem_core.contracts.backend import BackendSpec
from llem_core.contracts.launcher import LauncherSpec
from llem_core.contracts.sampler import SamplerSpec
from llem_core.environment import take_snapshot
from llem_core.plugins import plugins
from llem_core.plugins.problems import ask_availability
from llem_core.plugins.registry import Registry
from llem_core.results.environment import EnvironmentSnapshot
from llem_core.results.views.block import Block
from llem_core.units import format_bytes

from llem_cli.options import output_folder
from llem_cli.show.environments import describe_environments, environment_blocks
from llem_cli.show.table import render


def describe_schema(file: str) -> str:
    """The JSON schema of an ``experiment`` or a ``study`` file, with the plugins' sections."""
    schema = study_schema() if file == "study" else experiment_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False)


def describe_machine(as_json: bool, file: str | None = None) -> str:
    """Environment, plugins, other environments and paths, as text or as JSON.

    Args:
        as_json: whether to give JSON.
        file: an experiment or study file whose environments are shown, too.

    Raises:
        ConfigError: the user's configuration or the file is wrong.
    """
    environment = take_snapshot()
    others = describe_environments(file)
    facts: dict[str, Any] = {"plugins": _plugins(), "environments": others, "paths": _paths()}
    if as_json:
        facts = {"environment": environment.model_dump(mode="json"), **facts}
        return json.dumps(facts, indent=2, ensure_ascii=False)
    blocks = [_environment(environment), *_plugin_blocks(facts["plugins"])]
    return render([*blocks, *environment_blocks(others), _path_block()])


def _plugins() -> dict[str, Any]:
    known = plugins()
    return {
        "backends": [_entry(known.backends, s, _usable(s)) for s in known.backends],
        "samplers": [
            {**_entry(known.samplers, s, _usable(s)), "priority": s.priority}
            for s in sorted(known.samplers, key=lambda spec: -spec.priority)
        ],
        "sinks": [
            _entry(known.sinks, s, (True, "always on" if s.always_on else "on with its section"))
            for s in known.sinks
        ],
        "launchers": [_entry(known.launchers, s, _usable(s)) for s in known.launchers],
        "broken": [
            {
                "name": p.name,
                "distribution": p.distribution,
                "version": p.version,
                "reason": p.reason,
            }
            for p in [*known.problems, *known.section_problems()]
        ],
        "conflicts": known.conflicts(),
        "notes": [
            *(
                f"{p.name} of {p.distribution or 'this program'} {p.version or ''}".rstrip()
                + f" {note}"
                for p in known.loaded
                for note in p.notes
            ),
            *known.remarks,
        ],
    }


def _entry(registry: Registry[Any], spec: Any, usable: tuple[bool, str]) -> dict[str, Any]:
    return {
        "name": spec.name,
        "summary": spec.summary,
        "owner": _with_version(registry.owner(spec.name)),
        "usable": usable[0],
        "reason": usable[1],
    }


def _with_version(owner: str) -> str:
    """``distribution (entry point)`` with the distribution's version put in."""
    for plugin in plugins().loaded:
        if plugin.distribution and owner == f"{plugin.distribution} ({plugin.name})":
            return f"{plugin.distribution} {plugin.version}"
    return owner


def _usable(spec: BackendSpec | SamplerSpec | LauncherSpec) -> tuple[bool, str]:
    available = ask_availability(spec)
    remedy = getattr(spec, "remedy", "")
    if available.usable or not remedy:
        return available.usable, available.reason
    return False, f"{available.reason.rstrip('.')}. To use it: {remedy}"


def _paths() -> dict[str, Any]:
    path = user_config_path()
    return {
        "user_config": str(path),
        "user_config_exists": path.exists(),
        "output": str(output_folder(None, load_user_config().output)),
    }


def _environment(snapshot: EnvironmentSnapshot) -> Block:
    block = Block("Environment")
    block.add("llem", snapshot.tool_version)
    block.add("python", snapshot.python)
    block.add("system", snapshot.operating_system)
    cpu = snapshot.cpu
    cores = f"{cpu.usable_cores or cpu.logical_cores or 'unknown'} usable cores"
    memory = "" if cpu.memory_total_bytes is None else f", {format_bytes(cpu.memory_total_bytes)}"
    block.add("cpu", f"{cpu.model or cpu.architecture}, {cores}{memory}")
    block.add("container", snapshot.container.kind)
    block.add("batch job", snapshot.container.scheduler_job)
    for gpu in snapshot.gpus:
        size = "" if gpu.memory_total_bytes is None else f", {format_bytes(gpu.memory_total_bytes)}"
        block.add(f"gpu {gpu.index}", f"{gpu.name}{size} ({gpu.uuid})")
    if not snapshot.gpus:
        block.add("gpu", f"none: {snapshot.gpus_missing_reason}")
    block.add("nvidia driver", snapshot.driver_version)
    packages = ("torch", "transformers", "nvidia-ml-py", "zeus", "codecarbon")
    for name in packages:
        block.add(name, snapshot.packages.get(name))
    return block


def _plugin_blocks(found: dict[str, Any]) -> Iterable[Block]:
    for kind in ("backends", "samplers", "sinks", "launchers"):
        yield _kind_block(kind.capitalize(), found[kind])
    broken = Block("Broken plugins")
    for problem in found["broken"]:
        origin = f"{problem['distribution'] or 'unknown distribution'} {problem['version'] or ''}"
        broken.add(problem["name"], f"{origin.strip()}: {problem['reason']}")
    yield broken
    yield Block("Conflicts", items=found["conflicts"])
    yield Block("Notes", items=found["notes"])


def _kind_block(title: str, entries: Sequence[dict[str, Any]]) -> Block:
    block = Block(title, "" if entries else "none installed")
    for entry in entries:
        state = "usable" if entry["usable"] else "not usable"
        block.add(entry["name"], f"{state}: {entry['reason'].rstrip('.')}. From {entry['owner']}.")
    return block


def _path_block() -> Block:
    paths = _paths()
    block = Block("Paths")
    there = "" if paths["user_config_exists"] else " (does not exist; it is optional)"
    block.add("user configuration", f"{paths['user_config']}{there}")
    block.add("results", paths["output"])
    return block
