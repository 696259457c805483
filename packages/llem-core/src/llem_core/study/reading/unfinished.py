"""A study's result as far as its folder has it: while it runs, and after it was cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from llem_core.errors import ConfigError, StudyError
from llem_core.files import read_file
from llem_core.results.study import MeasurementProtocol, StudyResult, StudySummary
from llem_core.study.record.design import DESIGN
from llem_core.study.record.manifest import ManifestEntry, StudyManifest, load_manifest
from llem_core.study.summary.configurations import GatheredConfiguration, summarise_configurations
from llem_core.study.summary.figures import Figures, read_figures

_UNKNOWN = "not known: study_result.json is not there"


def study_so_far(folder: Path, result: StudyResult | None, wrong: str | None) -> StudyResult:
    """The study's result if it holds all that the manifest has; else one made of the runs.

    Args:
        folder: the study's folder.
        result: what its ``study_result.json`` holds, if it can be read.
        wrong: why it cannot.

    Raises:
        ConfigError: there is neither a result nor a manifest that can be read.
    """
    try:
        manifest = load_manifest(folder)
    except StudyError as error:
        if result is None:
            raise ConfigError(str(error)) from error
        return result
    if result is not None and manifest.status != "running" and _has_all(result, manifest):
        return result
    return _assembled(folder, manifest, wrong)


def failures_of(folder: Path, labels: Mapping[str, str]) -> list[str]:
    """A sentence for each run of a study that was tried and has no result.

    Args:
        folder: the study's folder; where its manifest cannot be read there are none.
        labels: what tells a configuration from the others, by its hash.
    """
    try:
        entries = list(load_manifest(folder).runs())
    except StudyError:
        return []
    return [
        f"{labels.get(e.config_hash) or e.config_hash}, cycle {e.cycle}: {e.error or e.status}"
        for e in entries
        if e.status == "failed"
    ]


def _has_all(result: StudyResult, manifest: StudyManifest) -> bool:
    completed = {e.result_file for e in manifest.runs() if e.status == "completed"}
    return completed >= set(result.result_files)


def _assembled(folder: Path, manifest: StudyManifest, wrong: str | None) -> StudyResult:
    design = _design(folder)
    named = design.get("labels")
    labels: dict[str, Any] = named if isinstance(named, dict) else {}
    gathered: dict[str, GatheredConfiguration] = {}
    warnings = [*_state(manifest, folder)]
    if wrong is not None:
        warnings.append(f"{wrong} All that is here was computed from the runs.")
    files: list[str] = []
    for entry in manifest.runs():
        label = str(labels.get(entry.config_hash) or entry.config_hash)
        mine = gathered.setdefault(entry.config_hash, GatheredConfiguration(label))
        if entry.status == "failed":
            mine.n_failed += 1
        if entry.status != "completed":
            continue
        try:
            figures = _figures(folder, entry)
        except ValueError as error:
            mine.n_failed += 1
            warnings.append(f"The result of {label}, cycle {entry.cycle}, is left out: {error}.")
            continue
        mine.figures.append(figures)
        mine.blocks.append((entry.cycle, entry.node or ""))
        files.append(str(entry.result_file))
    blocked = len({node for one in gathered.values() for _, node in one.blocks if node}) > 1
    configurations, nodes = summarise_configurations(gathered, blocked=blocked)
    execution = design.get("execution")
    return StudyResult(
        study_name=manifest.study_name,
        study_design_hash=manifest.study_design_hash,
        status=manifest.status,
        started_at=manifest.started_at,
        finished_at=_last(manifest),
        measurement_protocol=_protocol(
            execution if isinstance(execution, dict) else {}, manifest, blocked=blocked
        ),
        result_files=files,
        summary=_totals(design, manifest, gathered),
        configurations=configurations,
        nodes=nodes,
        skipped=[],
        merged=[],
        warnings=warnings,
    )


def _figures(folder: Path, entry: ManifestEntry) -> Figures:
    if entry.result_file is None:
        raise ValueError("the manifest names no file")
    place = PurePosixPath(entry.result_file)
    # Anybody can edit a manifest: a result lies within the study's folder.
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(f"{entry.result_file} is no file of this study")
    return read_figures(folder / place, entry.config_hash)


def _state(manifest: StudyManifest, folder: Path) -> Iterator[str]:
    statuses = [entry.status for entry in manifest.runs()]
    done = f"{statuses.count('completed')} of {len(statuses)} runs have a result"
    if manifest.status == "running":
        yield f"The study is still running, or its process was cut off: {done} so far."
    elif manifest.status == "interrupted":
        yield f"The study was interrupted: {done}. `llem run --resume {folder}` goes on with it."


def _last(manifest: StudyManifest) -> str:
    """When it ended; of one that has not, when the last of its runs did."""
    ends = [entry.finished_at for entry in manifest.runs() if entry.finished_at]
    return manifest.finished_at or max(ends, default=manifest.started_at)


def _protocol(
    execution: Mapping[str, Any], manifest: StudyManifest, *, blocked: bool
) -> MeasurementProtocol:
    order = execution.get("cycle_order")
    return MeasurementProtocol(
        n_cycles=_n_cycles(manifest),
        cycle_order=order if isinstance(order, str) else "unknown",
        shuffle_seed=manifest.study_design_hash if order == "shuffled" else None,
        config_gap_seconds=_number(execution.get("config_gap_seconds")),
        cycle_gap_seconds=_number(execution.get("cycle_gap_seconds")),
        experiment_timeout_seconds=_number(execution.get("experiment_timeout_seconds")),
        process_isolation=_UNKNOWN,
        interval="Student's t over the cycles of a configuration, 95 %, two-sided",
        comparison=_UNKNOWN,
        block="node" if blocked else None,
    )


def _totals(
    design: Mapping[str, Any],
    manifest: StudyManifest,
    gathered: Mapping[str, GatheredConfiguration],
) -> StudySummary:
    figures = [one for mine in gathered.values() for one in mine.figures]
    energies = [one.energy_total_j for one in figures if one.energy_total_j is not None]
    n_failed = sum(one.n_failed for one in gathered.values())
    n_runs = sum(1 for _ in manifest.runs())
    n_skipped = len(manifest.experiments) - n_runs
    generated = design.get("n_generated")
    return StudySummary(
        n_generated=generated if isinstance(generated, int) else len(gathered) + n_skipped,
        n_configurations=len(gathered),
        n_skipped=n_skipped,
        n_cycles=_n_cycles(manifest),
        n_runs=n_runs,
        n_completed=len(figures),
        n_failed=n_failed,
        n_not_run=n_runs - len(figures) - n_failed,
        energy_total_j=sum(energies) if energies else None,
        energy_estimated=any(one.energy_method == "estimated" for one in figures),
        duration_measured_s=sum(one.duration_s for one in figures),
        duration_total_s=manifest.elapsed_s,
    )


def _n_cycles(manifest: StudyManifest) -> int:
    return max((entry.cycle for entry in manifest.runs()), default=0)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value >= 0 else 0.0


def _design(folder: Path) -> dict[str, Any]:
    """The study's own record of its design; the plugins that it needs may be missing here."""
    try:
        content = json.loads(read_file(folder / DESIGN))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
