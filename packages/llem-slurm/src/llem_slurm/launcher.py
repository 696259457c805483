"""Gives each run of a study a job of a SLURM cluster."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from llem_core.contracts import (
    Event,
    Launcher,
    LaunchFailure,
    LaunchResult,
    LaunchSuccess,
    LaunchTask,
    Running,
    RunState,
    decode,
)
from llem_core.errors import StudyError

from llem_slurm.config import SlurmConfig
from llem_slurm.mailbox import Inbox, Mailboxes
from llem_slurm.outbox import read_from
from llem_slurm.queue import Queue
from llem_slurm.run import SlurmRun
from llem_slurm.submission import SubmissionError, same_job, submit

_SILENCE_LIMIT_S = 300.0
_AGAIN_S = 30.0
_LAST_WAIT_S = 30.0
_NOT_ALONE = (
    "The run did not have its node alone (execution.slurm.exclusive is false): other jobs, this "
    "study's own among them, may be in its times and in its energy."
)


class SlurmLauncher(Launcher):
    """Submits a job for each run, and follows it through the study's folder.

    Args:
        section: where and how jobs run.
    """

    isolation = "a SLURM job of its own for each experiment"
    retries = 1
    outlives_study = True

    def __init__(self, section: SlurmConfig) -> None:
        self.slots = section.jobs
        self.warning = None if section.exclusive else _NOT_ALONE
        self._section = section
        self._study: tuple[Mailboxes, Queue] | None = None
        self._runs: dict[str, SlurmRun] = {}
        self._is_swept = False

    def start(self, task: LaunchTask) -> Running:
        """Submit a job.

        Raises:
            StudyError: SLURM does not take it, and never will.
        """
        return self.start_all([task])[0]

    def start_all(self, tasks: Sequence[LaunchTask]) -> Sequence[Running]:
        """Submit jobs; those that ask for the same are one array.

        Raises:
            StudyError: SLURM does not take one, and never will.
        """
        _, queue = self._of(tasks[0])
        self._sweep(queue)
        groups: list[list[int]] = []
        for number, task in enumerate(tasks):
            for group in groups:
                if same_job(self._section, tasks[group[0]], task):
                    group.append(number)
                    break
            else:
                groups.append([number])
        started: dict[int, Running] = {}
        try:
            for group in groups:
                mine = [tasks[number] for number in group]
                started |= zip(group, self._start_group(mine), strict=True)
        except StudyError:
            queue.cancel([run.run_id for run in started.values() if run.run_id])
            raise
        return [started[number] for number in range(len(tasks))]

    def _start_group(self, tasks: Sequence[LaunchTask]) -> Sequence[Running]:
        try:
            return self.submit(tasks)
        except SubmissionError as error:
            if error.is_temporary:
                return [_Unsubmitted(self, task, str(error)) for task in tasks]
            raise StudyError(
                f"SLURM does not take the job of {tasks[0].folder} ({error}); correct "
                "execution.slurm or execution.resources, and resume the study."
            ) from error

    def attach(self, task: LaunchTask, run_id: str) -> Running | None:
        """Find a job again by its number, in the mailbox that it was given."""
        mailboxes, queue = self._of(task)
        folder = mailboxes.of_job(run_id)
        if folder is None:
            return None
        try:
            given = decode(read_from(folder / "task.json", 0))
        except (OSError, ValueError):
            return None
        if not isinstance(given, LaunchTask) or given.config_hash != task.config_hash:
            return None
        return self._run(given, run_id, folder, mailboxes, queue)

    def close(self) -> None:
        """Wait until SLURM has seen the end of what has ended; keep files of failures alone."""
        if self._study is None:
            return
        mailboxes, queue = self._study
        ended = {job_id: run.result() for job_id, run in self._runs.items()}
        queue.wait([job_id for job_id, result in ended.items() if result is not None], _LAST_WAIT_S)
        for job_id, result in ended.items():
            if isinstance(result, LaunchSuccess):
                mailboxes.discard(job_id)

    def submit(self, tasks: Sequence[LaunchTask]) -> Sequence[Running]:
        """Submit jobs that ask for the same.

        Raises:
            SubmissionError: SLURM does not take them now.
        """
        mailboxes, queue = self._of(tasks[0])
        jobs = [(task, mailboxes.new(task)) for task in tasks]
        try:
            job_ids = submit(mailboxes.scripts, self._section, mailboxes.name, jobs)
        except SubmissionError:
            for _, folder in jobs:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        for job_id, (_, folder) in zip(job_ids, jobs, strict=True):
            mailboxes.name_job(job_id, folder)
        return [
            self._run(task, job_id, folder, mailboxes, queue)
            for job_id, (task, folder) in zip(job_ids, jobs, strict=True)
        ]

    def _run(
        self, task: LaunchTask, job_id: str, folder: Path, mailboxes: Mailboxes, queue: Queue
    ) -> SlurmRun:
        limit_s = self._section.visibility_seconds
        run = SlurmRun(task, job_id, Inbox(folder), queue, mailboxes.scripts, limit_s)
        self._runs[job_id] = run
        return run

    def _of(self, task: LaunchTask) -> tuple[Mailboxes, Queue]:
        if self._study is None:
            mailboxes = Mailboxes(Path(task.directory))
            self._study = mailboxes, Queue(mailboxes.name, self._section.poll_seconds)
        return self._study

    def _sweep(self, queue: Queue) -> None:
        """Cancel jobs that an earlier process of the study submitted and could not note.

        It died between the two; their runs are about to start anew.
        """
        if self._is_swept:
            return
        deadline_s = time.monotonic() + _SILENCE_LIMIT_S
        while (left := queue.others(self._runs)) is None:
            if time.monotonic() > deadline_s:
                raise StudyError(
                    f"SLURM's controller does not answer ({queue.trouble}); resume the study when "
                    "`squeue` works again."
                )
            time.sleep(1.0)
        left = list(queue.cancel(left)) if left else []
        if left:
            raise StudyError(
                f"jobs of an earlier process of this study cannot be ended: {', '.join(left)}; end "
                "them with scancel, and resume the study."
            )
        self._is_swept = True


class _Unsubmitted(Running):
    """A run whose job SLURM did not take: it is full, or did not answer. It is tried again."""

    def __init__(self, launcher: SlurmLauncher, task: LaunchTask, said: str) -> None:
        self._launcher = launcher
        self._task = task
        self._run: Running | None = None
        self._killed: LaunchResult | None = None
        self._next_s = time.monotonic() + _AGAIN_S
        self.waits_for = said

    @property
    def state(self) -> RunState:
        """Queued until its job runs."""
        if self._killed is not None:
            return RunState.ENDED
        return RunState.QUEUED if self._run is None else self._run.state

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Try again when it is time; then as the job goes."""
        if self._run is None:
            wait_s = min(timeout_s, self._next_s - time.monotonic())
            if wait_s > 0:
                time.sleep(wait_s)
            if time.monotonic() < self._next_s or self._killed is not None:
                return
            self._next_s = time.monotonic() + _AGAIN_S
            try:
                (self._run,) = self._launcher.submit([self._task])
            except SubmissionError as error:
                self.waits_for = str(error)
                return
        yield from self._run.events(timeout_s)
        self.run_id, self.node = self._run.run_id, self._run.node
        self.waits_for = self._run.waits_for

    def result(self) -> LaunchResult | None:
        """That of its job."""
        return self._killed if self._run is None else self._run.result()

    def kill(self) -> None:
        """Cancel its job, if it has one by now."""
        if self._run is not None:
            self._run.kill()
        elif self._killed is None:
            self._killed = LaunchFailure("JobCancelled", "its job was never taken by SLURM")
