"""Which folders hold an experiment, which a study, and which nothing to report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llem_core.errors import ConfigError
from llem_core.study.record.manifest import MANIFEST

from llem_report.sources.run import RESULT

STUDY_RESULT = "study_result.json"
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
        found.setdefault(folder.resolve(), Found(_kind(folder), folder))
    return list(found.values())


def _kind(folder: Path) -> Literal["experiment", "study"]:
    if not folder.exists():
        raise ConfigError(f"there is no folder {folder}; name the one that `llem run` made.")
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder of results; name the one that `llem run` made.")
    try:
        if (folder / MANIFEST).exists() or (folder / STUDY_RESULT).exists():
            return "study"
        if (folder / RESULT).exists():
            return "experiment"
        inside = sorted(
            {p.parent.name for name in _FILES for p in folder.glob(f"*/{name}")}, reverse=True
        )
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}.") from error
    if inside:
        raise ConfigError(
            f"{folder} has no results of its own, but {len(inside)} of its folders have: name "
            f"one or several of them, such as {folder / inside[0]}, or all with {folder}/*."
        )
    raise ConfigError(
        f"{folder} holds no results: neither {RESULT} nor {MANIFEST} is in it. Name the folder "
        "that `llem run` made, which it prints at its end under Files."
    )
