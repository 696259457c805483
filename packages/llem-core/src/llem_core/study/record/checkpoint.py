"""Opens a study's folder: plans its runs, and takes over what an earlier start completed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from llem_core.config.execution import DEFAULT_LAUNCHER
from llem_core.config.study import StudyConfig
from llem_core.errors import StudyError
from llem_core.study.plan import PlannedRun
from llem_core.study.record.design import write_design
from llem_core.study.record.folders import clear, result_of, run_folder
from llem_core.study.record.manifest import (
    MANIFEST,
    ManifestEntry,
    ManifestWriter,
    StudyManifest,
    load_manifest,
)
from llem_core.text import now, short_hash

Attach = Callable[[PlannedRun, str], bool]
"""Finds a run again by its launcher's id for it; says whether it did."""


def open_study(
    study: StudyConfig,
    directory: Path,
    runs: Sequence[PlannedRun],
    launcher: str = DEFAULT_LAUNCHER,
    attach: Attach = lambda *_: False,
) -> ManifestWriter:
    """Write the design and the manifest of a study that begins or goes on.

    Completed runs whose files are whole stay as they are; what is left of all others is removed.

    Args:
        study: the study.
        directory: its folder, which exists and is locked.
        runs: all its runs, in execution order.
        launcher: name of what gives the runs their processes.
        attach: asked for each run that was under way when the study's process died; one that is
            found stays ``running``, with what it has written.

    Raises:
        StudyError: the folder belongs to another design, or it cannot be written.
    """
    former = load_manifest(directory) if (directory / MANIFEST).exists() else None
    if former is not None and former.study_design_hash != study.study_design_hash:
        raise StudyError(
            f"{directory} holds a study of the design {former.study_design_hash}, and this one is "
            f"{study.study_design_hash}; give it a folder of its own."
        )
    same = former is not None and former.launcher == launcher
    entries = _entries(study, directory, runs, former, attach if same else lambda *_: False)
    keep = {e.result_file.split("/")[0] for e in entries if e.result_file}
    under_way = [run for run, e in zip(runs, entries, strict=False) if e.status == "running"]
    keep |= {run_folder(run, study.label(run.config_hash), len(runs)) for run in under_way}
    clear(directory, keep=keep)
    write_design(directory, study)
    manifest = StudyManifest(
        study_name=study.name,
        study_design_hash=study.study_design_hash,
        pid=os.getpid(),
        launcher=launcher,
        started_at=former.started_at if former else now(),
        elapsed_s=former.elapsed_s if former else 0.0,
        experiments=entries,
    )
    return ManifestWriter(directory, manifest)


def _entries(
    study: StudyConfig,
    directory: Path,
    runs: Sequence[PlannedRun],
    former: StudyManifest | None,
    attach: Attach,
) -> list[ManifestEntry]:
    known = {entry.key: entry for entry in former.runs()} if former else {}
    planned = [_entry(directory, run, known.pop(run.key, None), attach) for run in runs]
    refuse_dropped(directory, known.values(), study)
    return [*planned, *_skipped(study)]


def refuse_dropped(directory: Path, entries: Iterable[ManifestEntry], study: StudyConfig) -> None:
    """Raise if a completed run of the manifest is none of the study's.

    Raises:
        StudyError: it belongs to a cycle that is no longer asked for, or to no configuration.
    """
    known = {config.measurement_config_hash for config in study.experiments}
    asked = study.execution.n_cycles
    completed = [entry for entry in entries if entry.status == "completed"]
    dropped = [e for e in completed if e.config_hash not in known or not 1 <= e.cycle <= asked]
    if not dropped:
        return
    unknown = [entry.config_hash for entry in dropped if entry.config_hash not in known]
    if unknown:
        raise StudyError(
            f"{directory / MANIFEST} calls a run of {unknown[0]!r} completed, and the study has no "
            "such configuration: the file was changed. Put it back from a copy, "
            "or run the study anew into another folder; the results beside it are intact."
        )
    most = max(entry.cycle for entry in dropped)
    raise StudyError(
        f"{directory} has completed runs of {most} cycles, and {asked} are asked for; ask for "
        f"{most} or more, or run the study anew into another folder."
    )


def _entry(
    directory: Path, run: PlannedRun, former: ManifestEntry | None, attach: Attach
) -> ManifestEntry:
    fresh = ManifestEntry(config_hash=run.config_hash, cycle=run.cycle)
    if former is None:
        return fresh
    if former.status == "completed":
        file = result_of(directory, former.result_file, run.config_hash, run.cycle)
        if file is not None:
            return former.model_copy(update={"result_file": file})
    if former.status == "running" and former.run_id and attach(run, former.run_id):
        return former
    fresh.attempt = former.attempt
    return fresh


def _skipped(study: StudyConfig) -> list[ManifestEntry]:
    """An entry for each combination that never runs; those with the same fields share one."""
    by_hash = {short_hash(skipped.fields): skipped for skipped in study.skipped}
    return [
        ManifestEntry(
            config_hash=name, cycle=0, status="skipped", error=f"{one.label}: {one.reason}"[:400]
        )
        for name, one in by_hash.items()
    ]
