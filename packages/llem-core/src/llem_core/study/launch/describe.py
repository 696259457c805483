"""What an environment tells the study that would run experiments in it.

``llem_core.elsewhere.ask`` runs it there: ``describe FINGERPRINT`` tells what is installed,
``availability`` also what can be used, and ``check`` reads experiments from the standard input and
says what is wrong with each. One line of JSON on the standard output is the answer; what plugins
print goes to the standard error.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str]) -> int:
    """Answer one question, given as arguments; gives the exit code."""
    ours = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    operation, *rest = arguments
    answer: dict[str, Any] = {"llem_environment": 1, "python": _python()}
    if operation == "check":
        answer |= _check(json.loads(sys.stdin.buffer.read()))
    else:
        mark = fingerprint()
        if operation == "describe" and rest == [mark]:
            answer["unchanged"] = True
        else:
            answer |= {**_describe(), "fingerprint": mark}
        if operation == "availability":
            answer |= _availability()
    with os.fdopen(ours, "w") as out:
        out.write(json.dumps(answer) + "\n")
    return 0


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def fingerprint() -> str:
    """Changes when a distribution comes or goes, or a plugin's or the core's own file is edited.

    Nothing is imported for it, and no distribution but the plugins' is read.
    """
    found = hashlib.sha256(f"{sys.version} {sys.prefix}".encode())
    packages = {"llem_core"}
    for entry in sys.path:
        with contextlib.suppress(OSError):
            for info in sorted(Path(entry).glob("*.dist-info")):
                points = info / "entry_points.txt"
                found.update(f"{info.name} {info.stat().st_mtime_ns}".encode())
                if points.exists() and "[llem]" in (text := points.read_text(errors="replace")):
                    packages |= set(_modules(text))
    for package in sorted(packages):
        for path, size, changed_ns in _files(package):
            found.update(f"{path} {size} {changed_ns}".encode())
    return found.hexdigest()


def _modules(text: str) -> Iterator[str]:
    """Top-level packages that the entry points of the group ``llem`` name."""
    inside = False
    for line in text.splitlines():
        if line.strip().startswith("["):
            inside = line.strip() == "[llem]"
        elif inside and "=" in line:
            yield line.partition("=")[2].strip().partition(":")[0].partition(".")[0]


def _files(package: str) -> Iterator[tuple[str, int, int]]:
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(package)
        places = list(spec.submodule_search_locations or []) if spec else []
        single = [Path(spec.origin)] if spec and spec.origin and not places else []
        for path in sorted([*single, *(p for place in places for p in Path(place).rglob("*.py"))]):
            with contextlib.suppress(OSError):
                stat = path.stat()
                yield str(path), stat.st_size, stat.st_mtime_ns


def _describe() -> dict[str, Any]:
    from llem_core.contracts.hookspecs import CONTRACT_VERSION
    from llem_core.contracts.messages import PROTOCOL_VERSION
    from llem_core.elsewhere.versions import core_version
    from llem_core.environment.snapshot import read_packages
    from llem_core.plugins import plugins
    from llem_core.results.migrate import SCHEMA_VERSION

    known = plugins()
    return {
        "llem_core": core_version(),
        "protocol": PROTOCOL_VERSION,
        "contract": CONTRACT_VERSION,
        "result_schema": SCHEMA_VERSION,
        "plugins": [
            {"name": p.name, "distribution": p.distribution, "version": p.version}
            for p in known.loaded
        ],
        "problems": [
            *(f"{problem.named} cannot be used: {problem.reason}" for problem in known.problems),
            *known.conflicts(),
        ],
        "backends": _backends(),
        "samplers": known.samplers.names(),
        "packages": read_packages(),
    }


def _backends() -> dict[str, Any]:
    from llem_core.plugins import plugins
    from llem_core.plugins.problems import why_unbuildable

    known = plugins()
    found: dict[str, Any] = {}
    for spec in known.backends:
        if why_unbuildable(spec.section) is not None:
            continue
        found[spec.name] = {
            "name": spec.name,
            "summary": spec.summary,
            "json_schema": spec.section.model_json_schema(),
            "defaults": _defaults(spec.section),
            "owner": known.told_owner(known.backends.owner(spec.name)),
        }
    return found


def _defaults(section: Any) -> dict[str, Any]:
    """The section's defaults as JSON types; empty where it has required fields."""
    with contextlib.suppress(ValueError):
        defaults: dict[str, Any] = section().model_dump(mode="json")
        return defaults
    return {}


def _availability() -> dict[str, Any]:
    from llem_core.environment.gpus import read_gpus
    from llem_core.plugins import plugins
    from llem_core.plugins.problems import ask_availability

    known = plugins()
    told = {}
    for spec in (*known.backends, *known.samplers):
        available = ask_availability(spec)
        told[spec.name] = {"usable": available.usable, "reason": available.reason}
    return {"availability": told, "gpus": [gpu.uuid for gpu in read_gpus().gpus]}


def _check(configs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is wrong with each experiment here, by its place in the list."""
    from llem_core.environment.gpus import read_gpus

    return {
        "reports": [_report(config) for config in configs],
        "gpus": [gpu.uuid for gpu in read_gpus().gpus],
    }


def _report(fields: dict[str, Any]) -> dict[str, Any]:
    from pydantic import ValidationError

    from llem_core.config.errors import describe
    from llem_core.config.experiment import ExperimentConfig
    from llem_core.errors import LLEMError
    from llem_core.measure.energy.select import candidates, first_choice
    from llem_core.measure.preflight import ask_backend
    from llem_core.measure.prompts.load import count_prompts

    try:
        config = ExperimentConfig.model_validate(fields)
        report = ask_backend(config)
    except ValidationError as error:
        return {"problems": [describe(error, ExperimentConfig)]}
    except LLEMError as error:
        return {"problems": [str(error).rstrip(".")]}
    problems = list(report.problems)
    try:
        count_prompts(config)
    except LLEMError as error:
        problems.append(str(error).rstrip("."))
    if config.energy.sampler_names:
        problems += [
            f"energy.sampler is {spec.name!r}, which cannot be used there: {reason}"
            for spec, reason in candidates(config, report.device_kind)
            if reason is not None
        ]
    return {
        "sampler": first_choice(config, report.device_kind),
        "config_hash": config.measurement_config_hash,
        "problems": problems,
        "notes": list(report.notes),
        "device_kind": report.device_kind,
        "memory_estimate_bytes": report.memory_estimate_bytes,
        "memory_available_bytes": report.memory_available_bytes,
    }
