"""Names of the files in a study's folder, and what becomes of unfinished ones."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from llem_core.files import read_file
from llem_core.study.plan import PlannedRun
from llem_core.text import slug

RESULT = "result.json"
_LONGEST_LABEL = 40
_OF_A_RUN = re.compile(
    r"(?P<folder>\d{3,}_.*[0-9a-f]{16}_c\d+)(\.log|(\.attempt-\d+)?\.error\.json)?"
)


def run_folder(planned: PlannedRun, label: str, n_runs: int) -> str:
    """Name of a run's own folder: position, what varies, hash and cycle.

    Hash and cycle keep it unique when positions change because cycles are added.
    """
    width = max(3, len(str(n_runs)))
    varies = "" if label == planned.config_hash else _slug(label)
    parts = [f"{planned.position:0{width}d}", varies, planned.config_hash, f"c{planned.cycle}"]
    return "_".join(part for part in parts if part)


def result_of(directory: Path, named: str | None, config_hash: str, cycle: int) -> str | None:
    """The whole ``result.json`` of a run, relative to the study's folder; ``None``: there is none.

    Args:
        directory: the study's folder.
        named: what the manifest says it is, which may be wrong: anybody can edit it.
        config_hash, cycle: the run.
    """
    if named is not None and is_intact(directory, named, config_hash, cycle):
        return named
    for folder in directory.glob(f"*{config_hash}_c{cycle}"):
        if is_intact(directory, f"{folder.name}/{RESULT}", config_hash, cycle):
            return f"{folder.name}/{RESULT}"
    return None


def is_intact(directory: Path, result_file: str, config_hash: str, cycle: int) -> bool:
    """Whether a run's ``result.json`` is whole and its own, and its data files are there.

    Its own is a file, and no link to one, in the folder of this run and cycle in the study's own.
    """
    from pydantic import ValidationError

    from llem_core.results.experiment import ExperimentResult

    folder, _, name = result_file.partition("/")
    own = _OF_A_RUN.fullmatch(folder) and folder.endswith(f"{config_hash}_c{cycle}")
    if not own or name != RESULT or (directory / folder).is_symlink():
        return False
    path = directory / result_file
    try:
        result = ExperimentResult.model_validate_json(read_file(path, follow=False))
    except (OSError, ValidationError):
        return False
    beside = [name for name in (result.timeseries, result.requests) if name is not None]
    return result.measurement_config_hash == config_hash and all(
        Path(name).name == name and (path.parent / name).is_file() for name in beside
    )


def clear(directory: Path, keep: Collection[str]) -> None:
    """Remove what unfinished runs and writes left behind.

    Args:
        directory: the study's folder.
        keep: names of folders of completed runs.
    """
    for path in list(directory.iterdir()):
        match = _OF_A_RUN.fullmatch(path.name)
        if (match and match["folder"] not in keep) or _is_temporary(path.name):
            remove(path)


def remove(path: Path) -> None:
    """Remove a folder, a file or a link, not what it points to; harmless if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def _slug(label: str) -> str:
    """``pytorch.batch_size=8, precision=fp16`` as ``batch_size-8_precision-fp16``."""
    short = re.sub(r"[\w-]+\.(?=[\w.-]*=)", "", label)
    return slug(short.replace(", ", "_"), _LONGEST_LABEL)
