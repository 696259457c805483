"""Names of the files in a study's folder, and what becomes of unfinished ones."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from llem_core.study.plan import PlannedRun
from llem_core.text import slug

RESULT = "result.json"
_LONGEST_LABEL = 40
_OF_A_RUN = re.compile(r"(?P<folder>\d{3,}_.*[0-9a-f]{16}_c\d+)(\.log|\.error\.json)?")


def run_folder(planned: PlannedRun, label: str, n_runs: int) -> str:
    """Name of a run's own folder: position, what varies, hash and cycle.

    Hash and cycle keep it unique when positions change because cycles are added.
    """
    width = max(3, len(str(n_runs)))
    varies = "" if label == planned.config_hash else _slug(label)
    parts = [f"{planned.position:0{width}d}", varies, planned.config_hash, f"c{planned.cycle}"]
    return "_".join(part for part in parts if part)


def is_intact(directory: Path, result_file: str, config_hash: str) -> bool:
    """Whether a run's ``result.json`` is whole and its own, and its data files are there."""
    from pydantic import ValidationError

    from llem_core.results.experiment import ExperimentResult

    path = directory / result_file
    try:
        result = ExperimentResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return False
    beside = [name for name in (result.timeseries, result.requests) if name is not None]
    return result.measurement_config_hash == config_hash and all(
        (path.parent / name).is_file() for name in beside
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
    """Remove a folder or a file; harmless if there is none."""
    if path.is_dir():
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
