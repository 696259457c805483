"""Runs a study: one experiment after another, each in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from llem_core.config.study import StudyConfig
from llem_core.contracts.launcher import (
    Launcher,
    LaunchFailure,
    LaunchResult,
    LaunchSuccess,
    LaunchTask,
    Running,
)
from llem_core.errors import StudyError
from llem_core.events import (
    Listener,
    RunEnded,
    RunStarted,
    RunStatus,
    StudyFailed,
    StudyFinished,
    StudyStarted,
)
from llem_core.files import StudyLock, write_atomically
from llem_core.plugins.manager import tell_plugins_and
from llem_core.results.experiment import ExperimentResult
from llem_core.results.study import StudyResult
from llem_core.study.deliver import deliver_study
from llem_core.study.interrupts import Interrupts
from llem_core.study.launch.endings import describe_timeout
from llem_core.study.pace import Remaining, pause
from llem_core.study.plan import PlannedRun, apply_cycles, gap_after
from llem_core.study.record.checkpoint import open_study
from llem_core.study.record.folders import RESULT, remove, run_folder
from llem_core.study.record.manifest import ManifestWriter
from llem_core.study.summary.collect import RunOutcome, assemble_study, finished_study
from llem_core.text import now


class Session:
    """Runs what is left of a study, and always leaves the manifest with a final status.

    Args:
        study: the study.
        runs: all its runs, in execution order.
        writer: its manifest, just opened.
        launcher: gives each experiment its process; closed at the end.
        listener: is told of events.
        interrupts: what keeps signals out while a state is being noted.
        warnings: on the study's folder, for its result.
    """

    def __init__(
        self,
        study: StudyConfig,
        runs: Sequence[PlannedRun],
        writer: ManifestWriter,
        launcher: Launcher,
        listener: Listener,
        interrupts: Interrupts,
        warnings: Sequence[str] = (),
    ) -> None:
        self._study = study
        self._runs = runs
        self._writer = writer
        self._directory: Path = writer.path.parent
        self._launcher = launcher
        self._tell = listener
        self._interrupts = interrupts
        self._warnings = warnings
        self._todo = [
            run for run in runs if writer.entry(run.config_hash, run.cycle).status == "pending"
        ]
        self._remaining = Remaining(self._todo, study.execution)

    def run(self) -> StudyResult:
        """Take all runs, then assemble and deliver the study's result."""
        try:
            self._tell(self._started())
            for index in range(len(self._todo)):
                self._run_one(index)
                self._pause_after(index)
            return self._finish()
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            with self._interrupts.shielded():
                self._writer.finish("interrupted" if interrupted else "failed")
                message = str(error) or ("interrupted" if interrupted else "")
                self._tell(StudyFailed(self._design, type(error).__name__, message))
            raise
        finally:
            with self._interrupts.shielded():
                self._launcher.close()

    @property
    def _design(self) -> str:
        return self._study.study_design_hash

    def _started(self) -> StudyStarted:
        return StudyStarted(
            config_hash=self._design,
            name=self._study.name,
            n_configurations=len(self._study.experiments),
            n_cycles=self._study.execution.n_cycles,
            n_runs=len(self._runs),
            n_completed=len(self._runs) - len(self._todo),
            directory=str(self._directory),
        )

    def _run_one(self, index: int) -> None:
        planned = self._todo[index]
        label = self._study.label(planned.config_hash)
        folder = run_folder(planned, label, len(self._runs))
        task = LaunchTask(
            config_hash=planned.config_hash,
            config=planned.config.model_dump(mode="json"),
            directory=str(self._directory),
            folder=folder,
        )
        attempt = self._writer.entry(planned.config_hash, planned.cycle).attempt + 1
        self._tell(
            RunStarted(
                config_hash=planned.config_hash,
                position=planned.position,
                n_runs=len(self._runs),
                cycle=planned.cycle,
                label=label,
                attempt=attempt,
            )
        )
        started_s = time.monotonic()
        running: Running | None = None
        try:
            with self._interrupts.shielded():
                running = self._start(task)
                self._writer.mark_running(planned.config_hash, planned.cycle, pid=running.pid)
            outcome = self._follow(running, task)
            with self._interrupts.shielded():
                result, failure = self._settle(planned, folder, outcome)
        except BaseException:
            with self._interrupts.shielded():
                self._abandon(planned, folder, running)
            raise
        elapsed_s = time.monotonic() - started_s
        self._tell(self._ended(index, label, elapsed_s, result, failure))

    def _start(self, task: LaunchTask) -> Running:
        try:
            return self._launcher.start(task)
        except OSError as error:
            raise StudyError(
                f"no process can be started ({error.strerror}); end what fills this machine and "
                f"go on with `llem run --resume {self._directory}`."
            ) from error

    def _follow(self, running: Running, task: LaunchTask) -> LaunchResult:
        """Pass events on until the experiment ends; kill it when its time is over."""
        limit_s = self._study.execution.experiment_timeout_seconds
        for event in running.events(limit_s):
            self._tell(event)
        result = running.result()
        with self._interrupts.shielded():
            running.kill()
        if result is not None:
            return result
        late = running.result()
        if isinstance(late, LaunchSuccess):
            return late  # its result came while it was being killed
        phase = late.phase if late is not None else None
        return describe_timeout(limit_s, phase, self._directory / f"{task.folder}.log")

    def _settle(
        self, planned: PlannedRun, folder: str, outcome: LaunchResult
    ) -> tuple[ExperimentResult | None, LaunchFailure | None]:
        """Note how a run ended."""
        failure: LaunchFailure | None = None
        result: ExperimentResult | None = None
        if isinstance(outcome, LaunchSuccess):
            try:
                result = ExperimentResult.model_validate_json(outcome.result)
            except ValueError as error:
                failure = LaunchFailure("WorkerDied", f"its result is none: {error}")
        else:
            failure = outcome
        key = planned.config_hash, planned.cycle
        log = self._directory / f"{folder}.log"
        if log.exists() and not log.stat().st_size:
            remove(log)
        if failure is None:
            self._writer.mark_completed(*key, f"{folder}/{RESULT}")
        else:
            self._clear(folder, failure)
            self._writer.mark_failed(*key, f"{failure.error_type}: {failure.message}")
        return result, failure

    def _clear(self, folder: str, failure: LaunchFailure) -> None:
        """Keep what is known of a failure, and nothing of its folder."""
        remove(self._directory / folder)
        text = json.dumps(dataclasses.asdict(failure), indent=1) + "\n"
        # On a full disk the manifest's line has to do.
        with contextlib.suppress(OSError):
            write_atomically(self._directory / f"{folder}.error.json", text.encode())

    def _abandon(self, planned: PlannedRun, folder: str, running: Running | None) -> None:
        """The study ends in the middle of a run."""
        if running is not None:
            running.kill()
        status = self._writer.entry(planned.config_hash, planned.cycle).status
        if status == "completed":
            return  # it was over, and its result is whole
        remove(self._directory / folder)
        if status == "running":
            self._writer.mark_interrupted(planned.config_hash, planned.cycle)

    def _ended(
        self,
        index: int,
        label: str,
        elapsed_s: float,
        result: ExperimentResult | None,
        failure: LaunchFailure | None,
    ) -> RunEnded:
        planned = self._todo[index]
        status: RunStatus = "failed" if result is None else "completed"
        return RunEnded(
            config_hash=planned.config_hash,
            position=planned.position,
            n_runs=len(self._runs),
            cycle=planned.cycle,
            label=label,
            status=status,
            elapsed_s=elapsed_s,
            remaining_s=self._remaining.ended(index, elapsed_s, completed=result is not None),
            energy_per_output_token_j=result.energy_per_output_token_j if result else None,
            energy_estimated=result is not None and result.energy_method == "estimated",
            output_tokens_per_second=result.output_tokens_per_second if result else None,
            error=f"{failure.error_type}: {failure.message}" if failure else None,
        )

    def _pause_after(self, index: int) -> None:
        gap = gap_after(self._todo, index, self._study.execution)
        if gap is not None:
            with self._interrupts.shielded():
                self._launcher.warm_up(self._todo[index + 1].config.backend)
            pause(gap, self._design, self._tell)

    def _finish(self) -> StudyResult:
        outcomes = [self._outcome(planned) for planned in self._runs]
        n_failed = sum(outcome.status != "completed" for outcome in outcomes)
        status: Literal["completed", "failed"] = "failed" if n_failed else "completed"
        elapsed_s = self._writer.elapsed_s
        result = assemble_study(
            self._study,
            outcomes,
            status=status,
            started_at=self._writer.manifest.started_at,
            finished_at=now(),
            duration_total_s=elapsed_s,
            directory=self._directory,
            process_isolation=self._launcher.isolation,
        )
        result = result.model_copy(update={"warnings": [*self._warnings, *result.warnings]})
        n_completed = len(outcomes) - n_failed
        self._tell(StudyFinished(self._design, status, n_completed, n_failed, elapsed_s))
        finished = finished_study(self._study, outcomes, result, self._directory)
        delivered = deliver_study(self._study, finished, self._directory)
        with self._interrupts.shielded():
            self._writer.finish(status)
        return delivered.result

    def _outcome(self, planned: PlannedRun) -> RunOutcome:
        entry = self._writer.entry(planned.config_hash, planned.cycle)
        file = None if entry.result_file is None else Path(entry.result_file)
        return RunOutcome(planned, entry.status, file, entry.error)


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
        with Interrupts() as interrupts, StudyLock(directory) as lock:
            session = Session(
                study,
                runs,
                open_study(study, directory, runs),
                self._launcher or _default_launcher(),
                tell_plugins_and(self._listener),
                interrupts,
                () if lock.warning is None else (lock.warning,),
            )
            return session.run()


def _without_gaps(study: StudyConfig) -> StudyConfig:
    none = {"config_gap_seconds": 0.0, "cycle_gap_seconds": 0.0}
    execution = study.execution.model_copy(update=none)
    return study.model_copy(update={"execution": execution})


def _default_launcher() -> Launcher:
    from llem_core.study.launch.spawn import SpawnLauncher

    return SpawnLauncher()
