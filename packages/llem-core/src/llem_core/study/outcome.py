"""How one run of a study ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llem_core.events import RunStatus
from llem_core.study.figures import Figures
from llem_core.study.plan import PlannedRun


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How one run of a study ended.

    Attributes:
        planned: the run.
        status: where it stands; ``completed`` has a ``result_file``.
        result_file: its ``result.json``, absolute or relative to the study's folder.
        error: why it has none, in a sentence.
        figures: its figures, where they are known already; otherwise the file is read.
    """

    planned: PlannedRun
    status: RunStatus
    result_file: Path | None
    error: str | None
    figures: Figures | None = None
