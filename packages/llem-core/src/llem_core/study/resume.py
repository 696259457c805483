"""Finds the study to go on with, and says whether it can be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llem_core.config.study import StudyConfig


@dataclass(frozen=True, slots=True)
class Resumption:
    """A study to go on with.

    Attributes:
        study: its configuration, with the execution to go on with.
        directory: its folder.
        n_runs, n_completed: runs in all, and those that are completed with whole files.
    """

    study: StudyConfig
    directory: Path
    n_runs: int
    n_completed: int


def resume_study(
    directory: Path | None, output: Path, study: StudyConfig | None = None
) -> Resumption:
    """Find the study to go on with.

    Args:
        directory: its folder; the latest unfinished study in ``output`` if not given.
        output: where folders of studies lie.
        study: what the user now asks for; what the folder holds if not given. It may have
            another ``execution``, with more cycles but not with fewer.

    Raises:
        StudyError: there is no such study, it is of another design (the difference is shown),
            or its manifest cannot be used.
    """
    raise NotImplementedError
