"""Makes a study's result of the files that its runs left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from llem_core.config.study import StudyConfig
from llem_core.contracts.sink import FinishedRun
from llem_core.results.study import (
    FinalStatus,
    MeasurementProtocol,
    SkippedCombination,
    StudyResult,
    StudySummary,
)
from llem_core.study.record.manifest import StudyManifest
from llem_core.study.summary.blocks import confounded
from llem_core.study.summary.configurations import (
    GatheredConfiguration,
    summarise_configurations,
)
from llem_core.study.summary.engines import Measured, compare_engines
from llem_core.study.summary.figures import Figures, read_figures

ISOLATION = "a process of its own for each experiment, started afresh (spawn)"
_INTERVAL = "Student's t over the cycles of a configuration, 95 %, two-sided"
_BLOCK_INTERVAL = (
    "Student's t with the noise within blocks, pooled over configurations (as parts of the "
    "figure), 95 %, two-sided; it holds for the nodes that were used"
)
_BLOCK_COMPARISON = (
    "by mean gross energy an output token; each against the one ranked just before it by the "
    "paired t-test of logarithms within blocks (a cycle on a node; two-sided, 95 %), not corrected "
    "for the number of comparisons"
)
_COMPARISON = (
    "by mean gross energy an output token; each against the one ranked just before it by Welch's "
    "t-test (two-sided, 95 %), not corrected for the number of comparisons"
)

_MOST_TOLD = 5


def assemble_study(
    study: StudyConfig,
    runs: Sequence[FinishedRun],
    *,
    status: FinalStatus,
    started_at: str,
    finished_at: str,
    duration_total_s: float,
    directory: Path,
    figures: Mapping[tuple[str, int], Figures] | None = None,
    process_isolation: str = ISOLATION,
    blocked: bool = False,
    shared: Sequence[str] = (),
) -> StudyResult:
    """Read the result files of a study and make its result of them.

    Files are read one at a time, and only a few figures of each are kept. A result that is
    missing or damaged is left out and named in ``warnings``.

    Args:
        study: the study.
        runs: all its runs, in execution order.
        status: how it ended.
        started_at, finished_at: when it started first and when it ended (ISO 8601, UTC).
        duration_total_s: over all resumptions (s).
        directory: its folder, which ``result_files`` are relative to.
        figures: those that are known already, by hash and cycle; others are read.
        process_isolation: how each experiment was given its process, for the record.
        blocked: whether each cycle was kept on one node.
        shared: sentences on what runs shared.
    """
    warnings: list[str] = []
    gathered, files, n_not_run = _gather(study, runs, figures or {}, directory, warnings)
    configurations, nodes = summarise_configurations(gathered, blocked=blocked)
    compared = compare_engines(list(_first_results(study, runs)))
    placed = {one.label: [node for _, node in one.blocks] for one in gathered.values()}
    return StudyResult(
        study_name=study.name,
        study_design_hash=study.study_design_hash,
        status=status,
        started_at=started_at,
        finished_at=finished_at,
        measurement_protocol=_protocol(study, process_isolation, shared, blocked=blocked),
        result_files=files,
        summary=_totals(study, len(runs), n_not_run, gathered.values(), duration_total_s),
        configurations=configurations,
        nodes=nodes,
        skipped=[SkippedCombination(label=s.label, reason=s.reason) for s in study.skipped],
        merged=list(study.merged),
        output_agreement=list(compared.agreement),
        warnings=[
            *(*warnings, *_warnings(gathered.values())),
            *(*confounded(placed, blocked=blocked), *compared.warnings),
        ],
    )


def _gather(
    study: StudyConfig,
    runs: Sequence[FinishedRun],
    known: Mapping[tuple[str, int], Figures],
    directory: Path,
    warnings: list[str],
) -> tuple[dict[str, GatheredConfiguration], list[str], int]:
    """The figures by configuration hash, the result files, and the number of runs not tried."""
    gathered = {
        config.measurement_config_hash: GatheredConfiguration(
            study.label(config.measurement_config_hash)
        )
        for config in study.experiments
    }
    files: list[str] = []
    n_not_run = 0
    for run in runs:
        mine = gathered[run.config_hash]
        if run.status not in {"completed", "failed"}:
            n_not_run += 1
            continue
        figures = known.get((run.config_hash, run.cycle))
        if figures is None and run.status == "completed":
            figures = _read(run, directory, warnings)
        if figures is None:
            mine.n_failed += 1
            continue
        mine.figures.append(figures)
        mine.blocks.append((run.cycle, run.node or ""))
        if run.result_file is not None:
            files.append(_relative(run.result_file, directory))
    return gathered, files, n_not_run


def tried_again(study: StudyConfig, manifest: StudyManifest) -> list[str]:
    """One sentence on runs that were tried again, of this start and of earlier ones."""
    again = [entry for entry in manifest.runs() if entry.retried_after]
    if not again:
        return []
    told = [
        f"{study.label(entry.config_hash)} in cycle {entry.cycle} ({entry.retried_after})"
        for entry in again[:_MOST_TOLD]
    ]
    more = f" and {len(again) - _MOST_TOLD} more" if len(again) > _MOST_TOLD else ""
    was = "run was" if len(again) == 1 else "runs were"
    return [f"{len(again)} {was} tried again after a failure: {'; '.join(told)}{more}."]


def _first_results(study: StudyConfig, runs: Iterable[FinishedRun]) -> Iterator[Measured]:
    """Each configuration that has a result, in the study's order, with its first one."""
    files: dict[str, Path] = {}
    for run in runs:
        if run.status == "completed" and run.result_file is not None:
            files.setdefault(run.config_hash, run.result_file)
    for config in study.experiments:
        name = config.measurement_config_hash
        if name in files:
            yield Measured(config, study.label(name), files[name])


def _read(run: FinishedRun, directory: Path, warnings: list[str]) -> Figures | None:
    if run.result_file is None:
        warnings.append(f"{_name(run)} is completed, but no result file is known of it.")
        return None
    try:
        return read_figures(run.result_file, run.config_hash)
    except ValueError as error:
        warnings.append(
            f"The result of {_name(run)}, {_relative(run.result_file, directory)}, is left out: "
            f"{error}."
        )
        return None


def _name(run: FinishedRun) -> str:
    return f"{run.config_hash} cycle {run.cycle}"


def _relative(path: Path | None, directory: Path) -> str:
    assert path is not None
    absolute = directory / path
    inside = absolute.is_relative_to(directory)
    return (absolute.relative_to(directory) if inside else absolute).as_posix()


def _protocol(
    study: StudyConfig, isolation: str, shared: Sequence[str], *, blocked: bool
) -> MeasurementProtocol:
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
        interval=_BLOCK_INTERVAL if blocked else _INTERVAL,
        comparison=_BLOCK_COMPARISON if blocked else _COMPARISON,
        block="node" if blocked else None,
        shared=list(shared),
    )


def _totals(
    study: StudyConfig,
    n_runs: int,
    n_not_run: int,
    gathered: Iterable[GatheredConfiguration],
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


def _warnings(gathered: Iterable[GatheredConfiguration]) -> Iterator[str]:
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
