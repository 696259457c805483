"""Runs a study: one experiment after another, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

from llem_core.config.study import StudyConfig
from llem_core.contracts.launcher import Launcher
from llem_core.errors import StudyError
from llem_core.events import Listener
from llem_core.plugins.telling import tell_plugins_and
from llem_core.results.study import StudyResult
from llem_core.study.checkpoint import open_study
from llem_core.study.interrupts import Interrupts
from llem_core.study.lock import StudyLock
from llem_core.study.plan import apply_cycles
from llem_core.study.session import Session


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
        # The record says what was done, so pauses that are left out are none.
        self._study = study if gaps else _without_gaps(study)
        self._directory = directory
        self._launcher = launcher
        self._listener = listener

    def run(self) -> StudyResult:
        """Run what is left, and write ``study_result.json``.

        Raises:
            StudyError: the study cannot start, go on or note its state; it can be resumed.
            KeyboardInterrupt: it was interrupted; the running experiment was killed, the
                manifest says so.
        """
        study = self._study
        directory = self._directory.absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{directory} cannot be made: {error.strerror}.") from error
        runs = apply_cycles(study.experiments, study.execution, study.study_design_hash)
        with Interrupts() as interrupts, StudyLock(directory):
            session = Session(
                study,
                runs,
                open_study(study, directory, runs),
                self._launcher or _default_launcher(),
                tell_plugins_and(self._listener),
                interrupts,
            )
            return session.run()


def _without_gaps(study: StudyConfig) -> StudyConfig:
    none = {"config_gap_seconds": 0.0, "cycle_gap_seconds": 0.0}
    execution = study.execution.model_copy(update=none)
    return study.model_copy(update={"execution": execution})


def _default_launcher() -> Launcher:
    from llem_core.study.spawn import SpawnLauncher

    return SpawnLauncher()
