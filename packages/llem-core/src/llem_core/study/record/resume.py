"""Finds the study to go on with, and says whether it can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llem_core.config.study import StudyConfig
from llem_core.errors import StudyError
from llem_core.study.record.checkpoint import refuse_dropped
from llem_core.study.record.design import difference, load_design
from llem_core.study.record.manifest import MANIFEST, StudyManifest, load_manifest


@dataclass(frozen=True, slots=True)
class Resumption:
    """A study to go on with.

    Attributes:
        study: its configuration, with the execution to go on with.
        directory: its folder.
        completed: hash and cycle of the runs that the manifest calls completed.
        notes: on other studies, which were looked at and cannot be used.
    """

    study: StudyConfig
    directory: Path
    completed: frozenset[tuple[str, int]]
    notes: tuple[str, ...] = ()


def resume_study(
    directory: Path | None, output: Path, study: StudyConfig | None = None
) -> Resumption:
    """Find the study to go on with.

    Args:
        directory: its folder; by default that of the study in ``output`` which was active last
            and has something left to do. With ``study``, those of its design come first.
        output: where folders of studies lie.
        study: what the user now asks for; what the folder holds if not given. It may have
            another ``execution``, with more cycles but not with fewer.

    Raises:
        StudyError: there is no such study, it is of another design (the difference is shown),
            or its manifest cannot be used.
    """
    notes: list[str] = []
    if directory is None:
        directory, manifest = _latest(output, study, notes)
    else:
        manifest = load_manifest(directory)
    design_hash = manifest.study_design_hash
    if study is None:
        study = load_design(directory, design_hash)
    elif study.study_design_hash != design_hash:
        raise StudyError(_other_design(directory, design_hash, study))
    refuse_dropped(directory, manifest.runs(), study)
    completed = frozenset(e.key for e in manifest.runs() if e.status == "completed")
    return Resumption(study, directory, completed, tuple(notes))


def _latest(
    output: Path, study: StudyConfig | None, broken: list[str]
) -> tuple[Path, StudyManifest]:
    others: list[tuple[Path, StudyManifest]] = []
    for directory, manifest in _newest_first(output, broken):
        if study is None:
            if manifest.status != "completed":
                return directory, manifest
        elif manifest.study_design_hash == study.study_design_hash:
            completed = sum(entry.status == "completed" for entry in manifest.runs())
            if completed < len(study.experiments) * study.execution.n_cycles:
                return directory, manifest
        elif manifest.status != "completed":
            others.append((directory, manifest))
    if others:
        return others[0]
    if broken:
        raise StudyError(broken[0])
    raise StudyError(
        f"{output} holds no study that has something left to do; name the folder of one to go on "
        "with it (with more cycles, for example), or run without --resume."
    )


def _newest_first(output: Path, broken: list[str]) -> Iterator[tuple[Path, StudyManifest]]:
    """Studies in a folder, with their manifests, the one that was active last first.

    Those that cannot be read are passed over, and what is wrong with them goes to ``broken``.
    """
    try:
        found = [path for path in output.glob(f"*/{MANIFEST}") if path.is_file()]
        ages = {path: path.stat().st_mtime_ns for path in found}
    except OSError as error:
        raise StudyError(f"{output} cannot be read: {error.strerror}.") from error
    for path in sorted(found, key=lambda path: ages[path], reverse=True):
        try:
            manifest = load_manifest(path.parent)
        except StudyError as error:
            broken.append(str(error))
        else:
            yield path.parent, manifest


def _other_design(directory: Path, design_hash: str, study: StudyConfig) -> str:
    told = (
        f"{directory} holds another study than the one asked for (design {design_hash}, asked for "
        f"is {study.study_design_hash})"
    )
    try:
        differs = difference(load_design(directory, design_hash), study)
    except StudyError:
        differs = ""  # its design cannot be read: the hashes have to do
    return (
        f"{told}{differs and ': '}{differs}. Undo the change, go on with what the folder holds "
        f"(`llem run --resume {directory}`), or run the study anew without --resume."
    )
