"""Which folders hold an experiment, which a study, and which nothing to report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llem_core.study.reading.load import RESULT, STUDY_RESULT, kind_of
from llem_core.study.record.manifest import MANIFEST

_FILES = {RESULT, MANIFEST, STUDY_RESULT}


@dataclass(frozen=True, slots=True)
class Found:
    """A folder that holds results."""

    kind: Literal["experiment", "study"]
    folder: Path


def find(paths: Iterable[Path]) -> list[Found]:
    """Say what each path is; one that is named twice counts once.

    Args:
        paths: folders of experiments and studies, or the result files in them.

    Raises:
        ConfigError: one of them holds no results; the message says where some are.
    """
    found: dict[Path, Found] = {}
    for path in paths:
        folder = path.parent if path.name in _FILES and path.is_file() else path
        found.setdefault(folder.resolve(), Found(kind_of(folder), folder))
    return list(found.values())
