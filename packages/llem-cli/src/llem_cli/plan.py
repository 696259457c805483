"""Finds out what a run would do, without loading or writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import CheckReport
from llem_core.errors import PreFlightError
from llem_core.files import check_writable
from llem_core.measure.energy.select import first_choice
from llem_core.measure.preflight import ask_backend, disk_bytes
from llem_core.measure.prompts.load import count_prompts


@dataclass(frozen=True, slots=True)
class Resolved:
    """An experiment and where its results go.

    Attributes:
        config: the experiment.
        output: folder that the result's own folder is made in.
        notes: remarks on the environment and the plugins, for the user.
    """

    config: ExperimentConfig
    output: Path
    notes: tuple[str, ...]


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
    n_prompts = count_prompts(config)
    report, sampler, why, why_not = _asked(resolved)
    problems = list(report.problems)
    here = config.runs_in is None  # elsewhere, it is among the problems already
    if here and config.energy.sampler not in {"auto", None} and sampler is None:
        problems.append(f"energy.sampler: {'; '.join(why_not)}")
    try:
        check_writable(resolved.output, disk_bytes(config))
    except PreFlightError as error:
        problems.append(str(error).rstrip("."))
    baselines_s = 2 * config.baseline.duration_seconds if config.baseline.enabled and sampler else 0
    waits_s = baselines_s + config.warmup.thermal_floor_seconds
    return Plan(resolved, report, n_prompts, sampler, why, tuple(why_not), waits_s, tuple(problems))


def _asked(resolved: Resolved) -> tuple[CheckReport, str | None, str, Sequence[str]]:
    """What the backend says, where it runs, and the sampler that would be tried first there."""
    config = resolved.config
    if config.runs_in is not None:
        from llem_core.study.elsewhere import ask_about  # a dry run in this environment is faster

        replies = ask_about([config], config.environments, resolved.output)
        (reply,) = replies.values()
        return reply.report, reply.sampler, reply.sampler_why, reply.samplers_not_usable
    try:
        report = ask_backend(config)
    except PreFlightError as error:
        report = CheckReport(problems=(str(error),))
    return report, *first_choice(config, report.device_kind)
