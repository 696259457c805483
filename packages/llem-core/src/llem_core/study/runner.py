"""Runs a study in its folder: the one door to it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from llem_core.config.execution import ExecutionConfig
from llem_core.config.study import StudyConfig
from llem_core.contracts.launcher import Launcher, Running
from llem_core.errors import PreFlightError, StudyError
from llem_core.events import Listener
from llem_core.files import StudyLock, absolute
from llem_core.plugins import plugins
from llem_core.plugins.listeners import tell_plugins_and
from llem_core.plugins.problems import ask_availability
from llem_core.results.study import StudyResult
from llem_core.study.interrupts import Interrupts
from llem_core.study.launch.environments import with_environments
from llem_core.study.plan import PlannedRun, apply_cycles
from llem_core.study.record.checkpoint import open_study
from llem_core.study.take import OnInterrupt, RunTaker, task_of


class StudyRunner:
    """Runs a study in its folder, or goes on with the one that the folder holds.

    Runs that the folder's manifest calls completed, and whose files are whole, stay; all others
    run. A failure is noted and the study goes on.

    Args:
        study: the study, expanded.
        directory: its folder; made if it does not exist. A manifest in it must be of the same
            design.
        launcher: gives each experiment its process; by default the one that
            ``execution.launcher`` names.
        listener: is told of the events of the study and of its experiments.
        gaps: whether to keep the pauses that the study asks for.
        on_interrupt: what becomes of runs that can go on without this process, when the study is
            interrupted: ``cancel``, ``leave`` (``attach`` finds them when it is resumed), or a
            function that is given their number and the signal, and says which.
    """

    def __init__(
        self,
        study: StudyConfig,
        directory: Path,
        *,
        launcher: Launcher | None = None,
        listener: Listener | None = None,
        gaps: bool = True,
        on_interrupt: Literal["cancel", "leave"] | OnInterrupt = "cancel",
    ) -> None:
        # The record says what was done, so pauses that are left out are none.
        self._study = study if gaps else _without_gaps(study)
        self._directory = directory
        self._launcher = launcher
        self._listener = listener
        self._on_interrupt = on_interrupt

    def run(self) -> StudyResult:
        """Run what is left, and write ``study_result.json``.

        Raises:
            StudyError: the study cannot start, go on or note its state; it can be resumed.
            KeyboardInterrupt: it was interrupted; the running experiment was killed, the
                manifest says so.
        """
        study = self._study
        try:
            directory = absolute(self._directory)
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{self._directory} cannot be made: {error.strerror}.") from error
        runs = apply_cycles(study.experiments, study.execution, study.study_design_hash)
        launcher = with_environments(
            self._launcher or make_launcher(study.execution), study.experiments, study.environments
        )
        attached: dict[tuple[str, int], Running] = {}

        def attach(planned: PlannedRun, run_id: str) -> bool:
            found = launcher.attach(task_of(study, planned, directory, len(runs)), run_id)
            if found is not None:
                attached[planned.key] = found
            return found is not None

        with Interrupts() as interrupts, StudyLock(directory) as lock:
            writer = open_study(study, directory, runs, self._launcher_name, attach)
            tell = tell_plugins_and(self._listener)
            warnings = () if lock.warning is None else (lock.warning,)
            taker = RunTaker(
                *(study, runs, writer, launcher, tell, interrupts, attached, warnings),
                self._decide,
            )
            return taker.run()

    def _decide(self, n_runs: int, signal_number: int | None) -> Literal["cancel", "leave"]:
        given = self._on_interrupt
        return given(n_runs, signal_number) if callable(given) else given

    @property
    def _launcher_name(self) -> str:
        """Whose the ids of the runs are: no other launcher may take them for its own."""
        given = self._launcher
        return self._study.execution.launcher if given is None else type(given).__name__


def make_launcher(execution: ExecutionConfig) -> Launcher:
    """The launcher that a study asks for.

    Raises:
        PluginError: no plugin offers it.
        PreFlightError: it cannot be used here, or cannot give what is asked of it.
    """
    spec = plugins().launchers.get(execution.launcher)
    available = ask_availability(spec)
    if not available.usable:
        raise PreFlightError(
            f"the launcher {spec.name!r} cannot be used here: {available.reason.rstrip('.')}; make "
            "it usable, or choose another one with execution.launcher."
        )
    if not spec.grants_resources and execution.resources.model_dump(exclude_none=True):
        raise PreFlightError(
            f"execution.resources is set, and the launcher {spec.name!r} cannot grant any: each "
            "run has the whole machine; remove it, or choose another execution.launcher."
        )
    return spec.create(execution.launcher_section)


def _without_gaps(study: StudyConfig) -> StudyConfig:
    none = {"config_gap_seconds": 0.0, "cycle_gap_seconds": 0.0}
    execution = study.execution.model_copy(update=none)
    return study.model_copy(update={"execution": execution})
