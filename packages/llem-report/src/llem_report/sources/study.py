"""Reads a study's folder, whatever state it is in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from llem_core.errors import ConfigError, StudyError
from llem_core.files import read_file
from llem_core.results.experiment import ExperimentResult
from llem_core.results.study import ConfigurationSummary, NodeEffect, StudyResult
from llem_core.study.record.design import DESIGN
from llem_core.study.record.manifest import (
    MANIFEST,
    ManifestEntry,
    StudyManifest,
    load_manifest,
)
from llem_core.study.summary.configurations import (
    GatheredConfiguration,
    summarise_configurations,
)
from pydantic import ValidationError

from llem_report.sources.find import STUDY_RESULT
from llem_report.sources.material import Source, Unfinished
from llem_report.sources.run import RESULT, Run, Settings, condense, load, settings_of

_MOST_NAMED = 5


@dataclass
class _Reading:
    """What has been read of a study so far."""

    folder: Path
    labels: Mapping[str, str]
    runs: list[Run] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    settings: dict[str, Settings] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def label(self, config_hash: str) -> str:
        return self.labels.get(config_hash) or config_hash

    def take(self, entry: ManifestEntry) -> None:
        """Read the result of a run, or note why it has none."""
        if entry.status != "completed":
            label = self.label(entry.config_hash)
            self.unfinished.append(Unfinished(label, entry.cycle, entry.status, entry.error))
            return
        try:
            folder = _own_folder(self.folder, entry.result_file)
            result, version = _load_own(folder, entry.config_hash)
        except ConfigError as error:
            label = self.label(entry.config_hash)
            self.unfinished.append(Unfinished(label, entry.cycle, "unreadable", str(error)))
            self.unreadable.append(str(error))
            return
        run = condense(result, folder, version=version, cycle=entry.cycle, node=entry.node)
        self.runs.append(run)
        if entry.config_hash not in self.settings:
            self.settings[entry.config_hash] = settings_of(result)


def read_study(folder: Path) -> Source:
    """Read a study that is finished, still runs, or was cut off.

    Raises:
        ConfigError: neither its manifest nor its result can be read.
    """
    result, wrong = _study_result(folder)
    manifest = _manifest(folder, result, wrong)
    design = _design(folder)
    labels = {one.config_hash: one.label for one in result.configurations} if result else {}
    reading = _Reading(folder, labels or _labels(design))
    for entry in manifest.runs():
        reading.take(entry)
    reading.remarks += [*wrong, *_state(manifest, folder), *_unreadable(reading.unreadable)]
    if result is not None and not _is_of(result, reading):
        reading.remarks.append(
            f"{STUDY_RESULT} is older than the runs in the folder: statistics here are computed "
            "from the runs."
        )
        result = None
    configurations, nodes = _statistics(reading, result, manifest)
    return Source(
        kind="study",
        name=manifest.study_name,
        folder=folder,
        status=manifest.status,
        runs=tuple(reading.runs),
        unfinished=tuple(reading.unfinished),
        configurations=tuple(configurations),
        settings=reading.settings,
        nodes=tuple(nodes),
        protocol=result.measurement_protocol if result else None,
        result=result,
        design_hash=manifest.study_design_hash,
        warnings=tuple(result.warnings) if result else (),
        remarks=tuple(reading.remarks),
    )


def _load_own(folder: Path, config_hash: str) -> tuple[ExperimentResult, int]:
    result, version = load(folder)
    if result.measurement_config_hash != config_hash:
        raise ConfigError(
            f"{folder / RESULT} is of the configuration {result.measurement_config_hash}, not of "
            f"{config_hash}."
        )
    return result, version


def _study_result(folder: Path) -> tuple[StudyResult | None, list[str]]:
    path = folder / STUDY_RESULT
    try:
        return StudyResult.model_validate_json(read_file(path)), []
    except FileNotFoundError:
        return None, []
    except (OSError, ValidationError) as error:
        what = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
        return None, [f"{path} cannot be used ({what}): statistics are computed from the runs."]


def _manifest(folder: Path, result: StudyResult | None, wrong: list[str]) -> StudyManifest:
    """The manifest; where it is lost, one made of the study's result."""
    try:
        return load_manifest(folder)
    except StudyError as error:
        if result is None:
            raise ConfigError(str(error)) from error
        wrong.append(f"{folder / MANIFEST} cannot be used: runs without a result are not known.")
    entries = []
    for file in result.result_files:
        name, _, cycle = PurePosixPath(file).parent.name.rpartition("_c")
        hash_ = name.rpartition("_")[2]
        entries.append(
            ManifestEntry(
                config_hash=hash_,
                cycle=int(cycle) if cycle.isdecimal() else 1,
                status="completed",
                result_file=file,
            )
        )
    return StudyManifest(
        study_name=result.study_name,
        study_design_hash=result.study_design_hash,
        status=result.status,
        started_at=result.started_at,
        experiments=entries,
    )


def _own_folder(study: Path, result_file: str | None) -> Path:
    """Where a run's result lies; anybody can edit a manifest, so it must be within the study's."""
    if result_file is None:
        raise ConfigError("it is completed, but the manifest names no result file.")
    place = PurePosixPath(result_file)
    if place.is_absolute() or ".." in place.parts or place.name != RESULT:
        raise ConfigError(f"the manifest names {result_file!r}, which is no result of this study.")
    return study / place.parent


def _design(folder: Path) -> dict[str, Any]:
    """The study's own record of its design; empty where it cannot be read.

    It is not validated: the plugins that it was made with need not be installed here.
    """
    try:
        content = json.loads(read_file(folder / DESIGN))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _labels(design: Mapping[str, Any]) -> dict[str, str]:
    labels = design.get("labels")
    return {str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {}


def _state(manifest: StudyManifest, folder: Path) -> Iterator[str]:
    """What the reader has to know first of a study that has not ended as it should."""
    statuses = [entry.status for entry in manifest.runs()]
    done = f"{statuses.count('completed')} of {len(statuses)} runs have a result"
    if manifest.status == "running":
        yield (
            f"The study “{manifest.study_name}” is still running, or its process was cut off: "
            f"{done}, and more may come. `llem run --resume {folder}` goes on with it."
        )
    elif manifest.status == "interrupted":
        yield (
            f"The study “{manifest.study_name}” was interrupted: {done}. "
            f"`llem run --resume {folder}` goes on with it."
        )
    elif failed := statuses.count("failed"):
        every = "All" if failed == len(statuses) else f"{failed} of {len(statuses)}"
        yield f"{every} runs of the study “{manifest.study_name}” failed; their errors stand below."


def _unreadable(errors: Sequence[str]) -> Iterator[str]:
    if errors:
        shown = " ".join(errors[:_MOST_NAMED])
        more = f" And {len(errors) - _MOST_NAMED} more." if len(errors) > _MOST_NAMED else ""
        yield f"{len(errors)} of the study's results are left out. {shown}{more}"


def _is_of(result: StudyResult, reading: _Reading) -> bool:
    files = {
        f"{run.folder.relative_to(reading.folder).as_posix()}/{RESULT}" for run in reading.runs
    }
    return files == set(result.result_files)


def _statistics(
    reading: _Reading, result: StudyResult | None, manifest: StudyManifest
) -> tuple[list[ConfigurationSummary], list[NodeEffect]]:
    if result is not None:
        return result.configurations, result.nodes
    gathered: dict[str, GatheredConfiguration] = {}
    for entry in manifest.runs():
        label = reading.label(entry.config_hash)
        mine = gathered.setdefault(entry.config_hash, GatheredConfiguration(label))
        mine.n_failed += entry.status == "failed"
    for run in reading.runs:
        gathered[run.config_hash].figures.append(run.figures)
        gathered[run.config_hash].blocks.append((run.cycle or 0, run.node or ""))
    blocked = len({run.node for run in reading.runs if run.node}) > 1
    return summarise_configurations(gathered, blocked=blocked)
