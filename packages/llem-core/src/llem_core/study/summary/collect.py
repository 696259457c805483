"""Makes a study's result of the files that its runs left."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from llem_core.config.study import StudyConfig
from llem_core.contracts.sampler import EnergyMethod
from llem_core.contracts.sink import FinishedRun, FinishedStudy
from llem_core.events import RunStatus
from llem_core.results.experiment import ExperimentResult
from llem_core.results.migrate import migrate_experiment
from llem_core.results.study import (
    ConfigurationSummary,
    CycleStatistics,
    FinalStatus,
    MeasurementProtocol,
    SkippedCombination,
    StudyResult,
    StudySummary,
)
from llem_core.study.plan import PlannedRun
from llem_core.study.summary.engines import Measured, compare_engines
from llem_core.study.summary.statistics import differ, summarise


@dataclass(frozen=True, slots=True)
class Figures:
    """What a study needs of one result; units are in the names."""

    energy_per_output_token_j: float | None
    energy_adjusted_j: float | None
    output_tokens_per_second: float | None
    energy_total_j: float | None
    energy_method: EnergyMethod | None
    energy_source: str | None
    duration_s: float


def figures_of(result: ExperimentResult) -> Figures:
    """The figures of a result that is at hand."""
    return Figures(
        energy_per_output_token_j=result.energy_per_output_token_j,
        energy_adjusted_j=result.energy_adjusted_j,
        output_tokens_per_second=result.output_tokens_per_second,
        energy_total_j=result.energy_total_j,
        energy_method=result.energy_method,
        energy_source=result.energy_source,
        duration_s=result.duration_s,
    )


def read_figures(path: Path, config_hash: str) -> Figures:
    """Read a ``result.json``; nothing of it is kept but the figures.

    The file is not validated as a whole: a study of many results would spend its end on that.

    Raises:
        ValueError: it is missing, damaged, of another configuration or of a newer version;
            the message says which.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is damaged ({error})") from error
    if not isinstance(content, dict) or "schema_version" not in content:
        raise ValueError("it is damaged (no schema_version)")
    content = migrate_experiment(content)
    found = content.get("measurement_config_hash")
    if found != config_hash:
        raise ValueError(f"it is of another configuration ({found})")
    duration_s = _number(content, "duration_s")
    if duration_s is None:
        raise ValueError("it is damaged (no duration_s)")
    method = content.get("energy_method")
    source = content.get("energy_source")
    return Figures(
        energy_per_output_token_j=_number(content, "energy_per_output_token_j"),
        energy_adjusted_j=_number(content, "energy_adjusted_j"),
        output_tokens_per_second=_number(content, "output_tokens_per_second"),
        energy_total_j=_number(content, "energy_total_j"),
        energy_method=method if method in get_args(EnergyMethod) else None,
        energy_source=source if isinstance(source, str) else None,
        duration_s=duration_s,
    )


def _number(content: dict[str, Any], name: str) -> float | None:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How one run of a study ended.

    Attributes:
        planned: the run.
        status: where it stands; ``completed`` has a ``result_file``.
        result_file: its ``result.json``, absolute or relative to the study's folder.
        error: why it has none, in a sentence.
        figures: its figures, where they are known already; otherwise the file is read.
    """

    planned: PlannedRun
    status: RunStatus
    result_file: Path | None
    error: str | None
    figures: Figures | None = None


ISOLATION = "a process of its own for each experiment, started afresh (spawn)"
_INTERVAL = "Student's t over the cycles of a configuration, 95 %, two-sided"
_COMPARISON = (
    "by mean gross energy an output token; each against the one ranked just before it by Welch's "
    "t-test (two-sided, 95 %), not corrected for the number of comparisons"
)


@dataclass(slots=True)
class _Configuration:
    """The figures of one configuration, gathered run by run."""

    label: str
    figures: list[Figures] = field(default_factory=list)
    n_failed: int = 0


def assemble_study(
    study: StudyConfig,
    runs: Sequence[RunOutcome],
    *,
    status: FinalStatus,
    started_at: str,
    finished_at: str,
    duration_total_s: float,
    directory: Path,
    process_isolation: str = ISOLATION,
) -> StudyResult:
    """Read the result files of a study and make its result of them.

    Files are read one at a time, and only a few figures of each are kept. A result that is
    missing or damaged is left out and named in ``warnings``.

    Args:
        study: the study.
        runs: all its planned runs, in execution order.
        status: how it ended.
        started_at, finished_at: when it started first and when it ended (ISO 8601, UTC).
        duration_total_s: over all resumptions (s).
        directory: its folder, which ``result_files`` are relative to.
        process_isolation: how each experiment was given its process, for the record.
    """
    gathered = {
        config.measurement_config_hash: _Configuration(study.label(config.measurement_config_hash))
        for config in study.experiments
    }
    warnings: list[str] = []
    files: list[str] = []
    n_not_run = 0
    for run in runs:
        mine = gathered[run.planned.config_hash]
        if run.status not in {"completed", "failed"}:
            n_not_run += 1
            continue
        figures = _figures(run, directory, warnings) if run.status == "completed" else None
        if figures is None:
            mine.n_failed += 1
            continue
        mine.figures.append(figures)
        if run.result_file is not None:
            files.append(_relative(run.result_file, directory))
    compared = compare_engines(list(_first_results(study, runs, directory)))
    return StudyResult(
        study_name=study.name,
        study_design_hash=study.study_design_hash,
        status=status,
        started_at=started_at,
        finished_at=finished_at,
        measurement_protocol=_protocol(study, process_isolation),
        result_files=files,
        summary=_totals(study, len(runs), n_not_run, gathered.values(), duration_total_s),
        configurations=_ranked([_summary(name, one) for name, one in gathered.items()]),
        skipped=[SkippedCombination(label=s.label, reason=s.reason) for s in study.skipped],
        merged=list(study.merged),
        output_agreement=list(compared.agreement),
        warnings=[*warnings, *_warnings(gathered.values()), *compared.warnings],
    )


def finished_study(
    study: StudyConfig, runs: Sequence[RunOutcome], result: StudyResult, directory: Path
) -> FinishedStudy:
    """The study as sinks receive it."""
    return FinishedStudy(
        result,
        tuple(
            FinishedRun(
                position=run.planned.position,
                config_hash=run.planned.config_hash,
                cycle=run.planned.cycle,
                label=study.label(run.planned.config_hash),
                status=run.status,
                result_file=None if run.result_file is None else directory / run.result_file,
                error=run.error,
            )
            for run in runs
        ),
    )


def _first_results(
    study: StudyConfig, runs: Iterable[RunOutcome], directory: Path
) -> Iterator[Measured]:
    """Each configuration that has a result, in the study's order, with its first one."""
    files: dict[str, Path] = {}
    for run in runs:
        if run.status == "completed" and run.result_file is not None:
            files.setdefault(run.planned.config_hash, directory / run.result_file)
    for config in study.experiments:
        name = config.measurement_config_hash
        if name in files:
            yield Measured(config, study.label(name), files[name])


def _figures(run: RunOutcome, directory: Path, warnings: list[str]) -> Figures | None:
    if run.figures is not None:
        return run.figures
    if run.result_file is None:
        warnings.append(f"{_name(run)} is completed, but no result file is known of it.")
        return None
    try:
        return read_figures(directory / run.result_file, run.planned.config_hash)
    except ValueError as error:
        warnings.append(
            f"The result of {_name(run)}, {_relative(run.result_file, directory)}, is left out: "
            f"{error}."
        )
        return None


def _name(run: RunOutcome) -> str:
    return f"{run.planned.config_hash} cycle {run.planned.cycle}"


def _relative(path: Path | None, directory: Path) -> str:
    assert path is not None
    absolute = directory / path
    inside = absolute.is_relative_to(directory)
    return (absolute.relative_to(directory) if inside else absolute).as_posix()


def _summary(config_hash: str, gathered: _Configuration) -> ConfigurationSummary:
    figures = gathered.figures
    methods = [one.energy_method for one in figures if one.energy_method is not None]

    def over_cycles(name: str) -> CycleStatistics | None:
        values = [getattr(one, name) for one in figures]
        return summarise([value for value in values if value is not None])

    return ConfigurationSummary(
        config_hash=config_hash,
        label=gathered.label,
        n_completed=len(figures),
        n_failed=gathered.n_failed,
        energy_method="estimated" if "estimated" in methods else next(iter(methods), None),
        energy_per_output_token_j=over_cycles("energy_per_output_token_j"),
        energy_adjusted_j=over_cycles("energy_adjusted_j"),
        output_tokens_per_second=over_cycles("output_tokens_per_second"),
        rank=None,
        indistinguishable_from_previous=None,
    )


def _ranked(summaries: list[ConfigurationSummary]) -> list[ConfigurationSummary]:
    """Rank by mean energy an output token, in the order of the file where means are equal."""
    energies = {
        number: one.energy_per_output_token_j
        for number, one in enumerate(summaries)
        if one.energy_per_output_token_j is not None
    }
    order = sorted(energies, key=lambda number: energies[number].mean)
    ranked = list(summaries)
    for rank, number in enumerate(order, start=1):
        better = energies[order[rank - 2]] if rank > 1 else None
        different = None if better is None else differ(better, energies[number])
        ranked[number] = summaries[number].model_copy(
            update={
                "rank": rank,
                "indistinguishable_from_previous": None if different is None else not different,
            }
        )
    return ranked


def _protocol(study: StudyConfig, isolation: str) -> MeasurementProtocol:
    execution = study.execution
    shuffled = execution.cycle_order == "shuffled"
    return MeasurementProtocol(
        n_cycles=execution.n_cycles,
        cycle_order=execution.cycle_order,
        shuffle_seed=study.study_design_hash if shuffled else None,
        config_gap_seconds=execution.config_gap_seconds,
        cycle_gap_seconds=execution.cycle_gap_seconds,
        experiment_timeout_seconds=execution.experiment_timeout_seconds,
        process_isolation=isolation,
        interval=_INTERVAL,
        comparison=_COMPARISON,
    )


def _totals(
    study: StudyConfig,
    n_runs: int,
    n_not_run: int,
    gathered: Iterable[_Configuration],
    duration_total_s: float,
) -> StudySummary:
    everything = [figures for one in gathered for figures in one.figures]
    energies = [one.energy_total_j for one in everything if one.energy_total_j is not None]
    return StudySummary(
        n_generated=study.n_generated or len(study.experiments) + len(study.skipped),
        n_configurations=len(study.experiments),
        n_skipped=len(study.skipped),
        n_cycles=study.execution.n_cycles,
        n_runs=n_runs,
        n_completed=len(everything),
        n_failed=n_runs - n_not_run - len(everything),
        n_not_run=n_not_run,
        energy_total_j=sum(energies) if energies else None,
        energy_estimated=any(one.energy_method == "estimated" for one in everything),
        duration_measured_s=sum(one.duration_s for one in everything),
        duration_total_s=duration_total_s,
    )


def _warnings(gathered: Iterable[_Configuration]) -> Iterator[str]:
    """What makes the figures of different runs hard to compare."""
    everything = [one for configuration in gathered for one in configuration.figures]
    methods = sorted({one.energy_method for one in everything if one.energy_method is not None})
    sources = sorted({one.energy_source for one in everything if one.energy_source is not None})
    if len(methods) > 1 and "estimated" in methods:
        yield (
            f"Some energies are measured and some estimated ({', '.join(methods)}): they cannot "
            "be compared with each other; set energy.sampler to one that is always usable."
        )
    elif len(sources) > 1:
        yield (
            f"Energies come from different samplers ({', '.join(sources)}): part of the "
            "differences may be theirs; set energy.sampler to one of them."
        )
