"""Runs a study: one experiment after another, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

from llem_core.config.study import StudyConfig
from llem_core.contracts.launcher import Launcher
from llem_core.events import Listener
from llem_core.results.study import StudyResult


class StudyRunner:
    """Runs a study in its folder, or goes on with the one that the folder holds.

    Runs that the folder's manifest calls completed, and whose files are whole, stay; all others
    run. A failure is noted and the study goes on.

    Args:
        study: the study, expanded.
        directory: its folder; made if it does not exist. A manifest in it must be of the same
            design.
        launcher: gives each experiment its process; by default a fresh spawned one.
        listener: is told of the events of the study and of its experiments.
        gaps: whether to keep the pauses that the study asks for.
    """

    def __init__(
        self,
        study: StudyConfig,
        directory: Path,
        *,
        launcher: Launcher | None = None,
        listener: Listener | None = None,
        gaps: bool = True,
    ) -> None:
        self._study = study
        self._directory = directory
        self._launcher = launcher
        self._listener = listener
        self._gaps = gaps

    def run(self) -> StudyResult:
        """Run what is left, and write ``study_result.json``.

        Raises:
            StudyError: the study cannot start, go on or note its state; it can be resumed.
            KeyboardInterrupt: it was interrupted; the running experiment was killed, the
                manifest says so.
        """
        raise NotImplementedError
