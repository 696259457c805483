"""One run as a job: what has come of it, and where it stands."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from llem_core.contracts import (
    Event,
    LaunchFailure,
    LaunchResult,
    LaunchSuccess,
    LaunchTask,
    Running,
    RunState,
)
from llem_core.events import Phase, PhaseChanged

from llem_slurm.endings import describe_end, tail
from llem_slurm.job import TOLD_TO_END
from llem_slurm.mailbox import Inbox
from llem_slurm.queue import GONE, JobState, Queue

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
# Each look opens files on a shared file system: often while something happens, seldom later.
_LOOK_S, _LATER_LOOK_S, _LATER_S = 0.2, 1.0, 30.0
_NODE_IS_DOWN = ("UnavailableNodes", "DOWN", "DRAINED")


class SlurmRun(Running):
    """A run whose job has been submitted.

    Args:
        task: as it was given to the launcher.
        job_id: the job's number.
        inbox: the study's side of its mailbox.
        queue: what SLURM says of it.
        scripts: where SLURM writes what the job prints.
        visibility_s: how late a file may appear (s).
        clock, sleep: monotonic time (s), and how to wait.
    """

    def __init__(
        self,
        task: LaunchTask,
        job_id: str,
        inbox: Inbox,
        queue: Queue,
        scripts: Path,
        visibility_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.run_id = job_id
        self._task = task
        self._inbox = inbox
        self._queue = queue
        self._visibility_s = visibility_s
        self._clock, self._sleep = clock, sleep
        self._submitted_s = clock()
        study = Path(task.directory)
        self._study = study
        self._logs = [study / f"{task.folder}.log", scripts / f"{job_id}_0_log.out"]
        self._heard_s, self._looked_s = self._submitted_s, -math.inf
        self._phase: Phase | None = None
        self._is_running = False
        self._result: LaunchResult | None = None
        self._over_since_s: float | None = None
        self._node_down_since_s: float | None = None

    @property
    def state(self) -> RunState:
        """Queued until SLURM or the job itself says that it runs."""
        if self._result is not None:
            return RunState.ENDED
        return RunState.RUNNING if self._is_running else RunState.QUEUED

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Look at the mailbox and the queue, again and again, until something has changed."""
        deadline_s = self._clock() + timeout_s
        pause_s = _SHORTEST_PAUSE_S
        before = self.state
        while self._result is None:
            if self._is_due():
                for event in self._inbox.events():
                    if isinstance(event, PhaseChanged):
                        self._phase = event.phase
                    pause_s, self._heard_s = _SHORTEST_PAUSE_S, self._clock()
                    yield event
                self._look()
            left_s = deadline_s - self._clock()
            if self.state is not before or left_s <= 0:
                break
            self._sleep(min(left_s, pause_s))
            pause_s = min(_LONGEST_PAUSE_S, 1.5 * pause_s)
        if self._result is not None:
            yield from self._inbox.events()  # the last ones may have appeared with it

    def result(self) -> LaunchResult | None:
        """How it ended; ``None`` while it has not, or while its result has not appeared here."""
        return self._result

    def kill(self) -> None:
        """Cancel the job, and wait until SLURM says that nothing of it runs."""
        if self._result is not None:
            return
        left = self._queue.cancel([self.run_id])
        ended = self._inbox.ended
        if isinstance(ended, LaunchSuccess):
            self._result = ended
            return
        sure = (
            f"; SLURM has not confirmed it ({self._queue.trouble or 'it is still there'}): look "
            f"with `squeue --jobs={self.run_id}`, and end it with `scancel {self.run_id}`"
            if left
            else ""
        )
        message = f"job {self.run_id} was cancelled by the study{sure}"
        self._result = LaunchFailure("JobCancelled", message, tail(self._logs), self._phase)

    def _is_due(self) -> bool:
        """Whether to look at the files again by now."""
        now_s = self._clock()
        is_quiet = now_s - self._heard_s > _LATER_S
        if now_s - self._looked_s < (_LATER_LOOK_S if is_quiet else _LOOK_S):
            return False
        self._looked_s = now_s
        return True

    def _look(self) -> None:
        ended = self._inbox.ended
        started = self._inbox.started
        if started is not None:
            self.node, self._is_running, self.waits_for = started.node, True, None
        elif ended is not None:  # it appears before what was written first
            state = self._queue.look(self.run_id, self._submitted_s)
            self.node = state.node or None if state is not None else None
        if isinstance(ended, LaunchSuccess):
            self._accept(ended)
        elif ended is not None and ended.error_type != TOLD_TO_END:
            broken = self._inbox.broken
            told = f"; of what it sent, this is unusable: {broken}" if broken else ""
            self._result = dataclasses.replace(ended, message=ended.message + told)
        else:
            state = self._queue.look(self.run_id, self._submitted_s)
            if state is not None:
                self._take(state, told=ended)

    def _accept(self, success: LaunchSuccess) -> None:
        """Take a success once its file has appeared here whole, or when it is overdue."""
        path = self._study / success.result_file
        try:
            whole = path.stat().st_size == success.size_bytes
        except OSError:
            whole = False
        if whole or self._is_overdue():
            self._result = success

    def _take(self, state: JobState, told: LaunchFailure | None) -> None:
        """Note where the job stands for SLURM.

        Args:
            state: as SLURM has it.
            told: what the job said when SLURM told it to end, if it did.
        """
        if state.is_over:
            late = told is None and not self._never_ran(state)
            if not late or self._is_overdue():
                if told is not None and state.name in {GONE, "COMPLETED", "FAILED"}:
                    state = JobState("CANCELLED", state.reason, state.node)
                self._result = describe_end(self.run_id, state, self._phase, self._logs)
            return
        if not state.is_waiting:
            self.node, self._is_running, self.waits_for = state.node or self.node, True, None
            return
        if self._is_running:
            return  # the queue's answer is older than what the job itself has said
        self.waits_for = state.reason or None
        if self._task.node and any(word in state.reason for word in _NODE_IS_DOWN):
            since_s = self._node_down_since_s = self._node_down_since_s or self._clock()
            if self._clock() - since_s > self._visibility_s:
                self._give_up(state)
        else:
            self._node_down_since_s = None

    def _give_up(self, state: JobState) -> None:
        """Its block's node is down: as if it had been lost while the run was there."""
        self._queue.cancel([self.run_id])
        lost = JobState("NODE_FAIL", state.reason, self._task.node or "")
        self._result = describe_end(self.run_id, lost, self._phase, self._logs)

    def _never_ran(self, state: JobState) -> bool:
        return not state.node and not self._is_running and state.name == "CANCELLED"

    def _is_overdue(self) -> bool:
        """Whether what the job has written should have appeared by now."""
        if self._over_since_s is None:
            self._over_since_s = self._clock()
        return self._clock() - self._over_since_s > self._visibility_s
