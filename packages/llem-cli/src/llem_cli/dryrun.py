"""What a run would do, found out without loading or writing anything."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import CheckReport
from llem_core.errors import PreFlightError
from llem_core.measure.energy.select import candidates
from llem_core.measure.preflight import ask_backend
from llem_core.measure.prompts.load import load_prompts
from llem_core.plugins.problems import ask_availability
from llem_core.units import format_bytes, format_duration

from llem_cli.resolve import Resolved
from llem_cli.table import Block, render

_MAIN = frozenset({"model", "backend", "precision", "n", "dataset"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    Attributes:
        resolved: the experiment.
        report: what its backend says of it.
        n_prompts: prompts that would be measured.
        sampler: the sampler that would be tried first; ``None`` where nothing would measure.
        why: what that sampler says of itself.
        why_not: samplers that cannot be used, with the reason.
        waits_s: time of the waits alone (s): both baselines and the thermal floor.
        problems: what would make the run fail; empty where nothing is known to.
    """

    resolved: Resolved
    report: CheckReport
    n_prompts: int
    sampler: str | None
    why: str
    why_not: tuple[str, ...]
    waits_s: float
    problems: tuple[str, ...]


def plan(resolved: Resolved) -> Plan:
    """Check an experiment as far as that can be done without loading anything.

    Raises:
        ConfigError: the data set cannot be used.
    """
    config = resolved.config
    prompts = load_prompts(config)
    try:
        report = ask_backend(config)
    except PreFlightError as error:
        report = CheckReport(problems=(str(error),))
    problems = list(report.problems)
    sampler, why, why_not = choose_sampler(config, report.device_kind)
    if config.energy.sampler not in {"auto", None} and sampler is None:
        problems.append(f"energy.sampler: {'; '.join(why_not)}")
    problems += _unwritable(resolved.output)
    baselines_s = 2 * config.baseline.duration_seconds if config.baseline.enabled and sampler else 0
    waits_s = baselines_s + config.warmup.thermal_floor_seconds
    return Plan(
        resolved, report, len(prompts), sampler, why, tuple(why_not), waits_s, tuple(problems)
    )


def choose_sampler(config: ExperimentConfig, device_kind: str) -> tuple[str | None, str, list[str]]:
    """The sampler that would be tried first, what it says of itself, and why not those before."""
    why_not: list[str] = []
    if config.energy.sampler is None:
        return None, "energy.sampler is null", why_not
    for spec, reason in candidates(config, device_kind):
        if reason is None:
            return spec.name, ask_availability(spec).reason, why_not
        why_not.append(f"{spec.name}: {reason}")
    return None, "", why_not


def _unwritable(output: Path) -> list[str]:
    """A problem if the folder for results cannot be made or written; makes nothing."""
    existing = output.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return []
    return [f"the output folder {output} cannot be written; choose another with --output"]


def as_json(planned: Plan) -> str:
    """The plan as JSON."""
    config, report = planned.resolved.config, planned.report
    return json.dumps(
        {
            "measurement_config_hash": config.measurement_config_hash,
            "config": config.model_dump(mode="json"),
            "n_prompts": planned.n_prompts,
            "device_kind": report.device_kind,
            "memory_estimate_bytes": report.memory_estimate_bytes,
            "memory_available_bytes": report.memory_available_bytes,
            "sampler": planned.sampler,
            "sampler_reason": planned.why,
            "samplers_not_usable": planned.why_not,
            "waits_s": planned.waits_s,
            "output": str(planned.resolved.output),
            "notes": report.notes,
            "problems": planned.problems,
        },
        indent=2,
        ensure_ascii=False,
    )


def as_text(planned: Plan) -> str:
    """The plan as plain text."""
    return render(
        [
            Block("Dry run", "nothing was loaded, measured or written"),
            _experiment(planned),
            _run(planned),
            Block("Notes", items=list(planned.report.notes)),
            Block("Problems", items=list(planned.problems)),
        ]
    )


def _experiment(planned: Plan) -> Block:
    config = planned.resolved.config
    block = Block("Experiment", f"configuration {config.measurement_config_hash}")
    block.add("model", config.model)
    block.add("backend", config.backend)
    block.add("precision", config.precision)
    block.add("prompts", f"{planned.n_prompts} of {config.dataset.source}")
    block.add("tokens at the most", f"{config.max_input_tokens} in, {config.max_output_tokens} out")
    dumped = config.model_dump(mode="json", exclude_defaults=True)
    others = {name: value for name, value in dumped.items() if name not in _MAIN}
    for path, value in _flatten(others):
        block.add(path, json.dumps(value, ensure_ascii=False))
    return block


def _flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found += _flatten(value, f"{prefix}{name}.")
        elif not isinstance(value, Mapping):
            found.append((f"{prefix}{name}", value))
    return [pair for pair in found if pair[0] not in {"max_input_tokens", "max_output_tokens"}]


def _run(planned: Plan) -> Block:
    report = planned.report
    block = Block("Run")
    block.add("device", report.device_kind)
    block.add("memory", _memory(report))
    block.add("energy", _energy(planned))
    block.add("samplers not usable", "; ".join(planned.why_not) or None)
    block.add("waits", f"{format_duration(planned.waits_s)}, loading and measuring not counted")
    block.add("results", str(planned.resolved.output))
    return block


def _memory(report: CheckReport) -> str:
    needed, free = report.memory_estimate_bytes, report.memory_available_bytes
    told = "need unknown beforehand" if needed is None else f"about {format_bytes(needed)} needed"
    return f"{told}, {'free memory unknown' if free is None else f'{format_bytes(free)} free'}"


def _energy(planned: Plan) -> str:
    if planned.resolved.config.energy.sampler is None:
        return "not measured, on purpose (energy.sampler is null)"
    if planned.sampler is None:
        return "not measured: no sampler can be used"
    return f"{planned.sampler}: {planned.why}"
