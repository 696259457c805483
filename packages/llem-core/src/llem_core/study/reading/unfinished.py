"""A study's result as far as its folder has it: while it runs, and after it was cut off."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llem_core.errors import ConfigError, StudyError
from llem_core.files import read_file, stays_inside
from llem_core.results.study import (
    MeasurementProtocol,
    SkippedCombination,
    StudyResult,
    StudySummary,
)
from llem_core.results.views.study import UNKNOWN_ORDER
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
    design, lost = _design(folder)
    named = design.get("labels")
    labels: dict[str, Any] = named if isinstance(named, dict) else {}
    gathered: dict[str, GatheredConfiguration] = {}
    warnings = [*_state(manifest, folder), *lost]
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
        skipped=list(_skipped(design, manifest)),
        merged=[one for one in _listed(design, "merged") if isinstance(one, str)],
        warnings=warnings,
    )


def _figures(folder: Path, entry: ManifestEntry) -> Figures:
    if entry.result_file is None:
        raise ValueError("the manifest names no file")
    if not stays_inside(entry.result_file):
        raise ValueError(f"{entry.result_file} is no file of this study")
    return read_figures(folder / entry.result_file, entry.config_hash)


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
        cycle_order=order if isinstance(order, str) else UNKNOWN_ORDER,
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
        n_generated=generated if isinstance(generated, int) else None,
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


def _skipped(design: Mapping[str, Any], manifest: StudyManifest) -> Iterator[SkippedCombination]:
    """Combinations that never run; without a design those of the manifest, which joins both."""
    named = [one for one in _listed(design, "skipped") if isinstance(one, dict)]
    if named:
        for one in named:
            yield SkippedCombination(label=str(one.get("label")), reason=str(one.get("reason")))
        return
    for entry in manifest.experiments:
        if entry.status == "skipped":
            label, _, reason = (entry.error or "").partition(": ")
            yield SkippedCombination(label=label or entry.config_hash, reason=reason or "unknown")


def _listed(design: Mapping[str, Any], name: str) -> list[Any]:
    found = design.get(name)
    return found if isinstance(found, list) else []


def _number(value: Any) -> float | None:
    """A length of time (s); ``None`` where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= sys.float_info.max else None


def _design(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The study's own record of its design, and what is not known where there is none.

    It is read as it lies: the plugins that it needs may be missing here.
    """
    try:
        content = json.loads(read_file(folder / DESIGN))
        design = content if isinstance(content, dict) else {}
        if isinstance(design.get("execution"), dict):
            return design, []
        why = "it is damaged"
    except OSError as error:
        design, why = {}, str(error.strerror)
    except (ValueError, RecursionError):
        design, why = {}, "it is damaged"
    return design, [
        f"{folder / DESIGN} cannot be read ({why}): the order of the runs, the pauses between them "
        "and the limit of each are not known."
    ]
