"""Reads a study's folder, whatever state it is in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from llem_core.errors import ConfigError, StudyError
from llem_core.files import stays_inside
from llem_core.results.experiment import ExperimentResult
from llem_core.results.study import StudyResult
from llem_core.study.reading.load import RESULT, load_study
from llem_core.study.record.manifest import MANIFEST, ManifestEntry, load_manifest

from llem_report.sources.material import Source, Unfinished
from llem_report.sources.run import Run, Settings, condense, load, settings_of

_MOST_NAMED = 5
_ENDED = frozenset({"completed", "failed"})


@dataclass
class _Reading:
    """What has been read of a study so far."""

    folder: Path
    labels: dict[str, str]
    runs: list[Run] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    settings: dict[str, Settings] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def take(self, entry: ManifestEntry) -> None:
        """Read the result of a run, or note why it has none."""
        label = self.labels.get(entry.config_hash) or entry.config_hash
        if entry.status != "completed":
            self.unfinished.append(Unfinished(label, entry.cycle, entry.status, entry.error))
            return
        try:
            folder = _own_folder(self.folder, entry.result_file)
            result, version = _load_own(folder, entry.config_hash)
        except ConfigError as error:
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
    result = load_study(folder)
    entries, lost = _entries(folder, result)
    reading = _Reading(folder, {one.config_hash: one.label for one in result.configurations})
    for entry in entries:
        reading.take(entry)
    ended = result.status in _ENDED
    so_far = () if ended else (f"Study “{result.study_name}”: {w}" for w in result.warnings)
    failed = _failed(result, [entry.status for entry in entries]) if ended else ()
    return Source(
        kind="study",
        name=result.study_name,
        folder=folder,
        status=result.status,
        runs=tuple(reading.runs),
        unfinished=tuple(reading.unfinished),
        configurations=tuple(result.configurations),
        settings=reading.settings,
        nodes=tuple(result.nodes),
        protocol=result.measurement_protocol,
        result=result,
        design_hash=result.study_design_hash,
        warnings=tuple(result.warnings) if ended else (),
        remarks=(*lost, *so_far, *failed, *_unreadable(reading.unreadable)),
    )


def _entries(folder: Path, result: StudyResult) -> tuple[list[ManifestEntry], list[str]]:
    """The runs of the manifest; where it is lost, those that the study's result names."""
    try:
        return list(load_manifest(folder).runs()), []
    except StudyError:
        lost = f"{folder / MANIFEST} cannot be used: runs without a result are not known."
        return [_entry(file) for file in result.result_files], [lost]


def _entry(file: str) -> ManifestEntry:
    name, _, cycle = PurePosixPath(file).parent.name.rpartition("_c")
    return ManifestEntry(
        config_hash=name.rpartition("_")[2],
        cycle=min(int(cycle), 10_000) if cycle.isdecimal() else 1,
        status="completed",
        result_file=file,
    )


def _own_folder(study: Path, result_file: str | None) -> Path:
    """Where a run's result lies; anybody can edit a manifest, so it must be within the study's."""
    if result_file is None:
        raise ConfigError("A run is completed, but the manifest names no result of it.")
    place = PurePosixPath(result_file)
    if not stays_inside(result_file) or place.name != RESULT:
        raise ConfigError(f"The manifest names {result_file!r}, which is no result of this study.")
    return study / place.parent


def _load_own(folder: Path, config_hash: str) -> tuple[ExperimentResult, int]:
    result, version = load(folder)
    if result.measurement_config_hash != config_hash:
        raise ConfigError(
            f"{folder / RESULT} is of the configuration {result.measurement_config_hash}, not of "
            f"{config_hash}."
        )
    return result, version


def _failed(result: StudyResult, statuses: Sequence[str]) -> Iterator[str]:
    failed = statuses.count("failed")
    if failed:
        every = "All" if failed == len(statuses) else f"{failed} of {len(statuses)}"
        yield f"{every} runs of the study “{result.study_name}” failed; their errors stand below."


def _unreadable(errors: Sequence[str]) -> Iterator[str]:
    if errors:
        shown = " ".join(errors[:_MOST_NAMED])
        more = f" And {len(errors) - _MOST_NAMED} more." if len(errors) > _MOST_NAMED else ""
        yield f"{len(errors)} of the study's results are left out. {shown}{more}"
