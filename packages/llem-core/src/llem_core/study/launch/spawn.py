"""Gives each experiment a fresh process of this machine: the launcher that studies use."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import types
import uuid
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from llem_core.contracts.launcher import Launcher
from llem_core.contracts.messages import (
    LaunchTask,
    WarmUp,
)
from llem_core.environment.gpus import Gpus, read_gpus
from llem_core.errors import PreFlightError, StudyError
from llem_core.events import Event
from llem_core.inherited import mend_inherited
from llem_core.meters.visible import VARIABLE, visible_gpus
from llem_core.processes import guard
from llem_core.study.launch import worker
from llem_core.study.launch.channel import Inbox, send
from llem_core.study.launch.endings import describe_death, oom_kills
from llem_core.study.launch.follow import WorkerRun

_LONGEST_WAIT_S = 3600.0
_HELD_BACK = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class SpawnLauncher(Launcher):
    """Starts every experiment with ``multiprocessing``'s ``spawn``, in a session of its own.

    Whoever dies first, no process stays: see ``llem_core.processes.guard``.

    Args:
        grace_s: time that a process may take to end after it has sent its result (s).
        slots: experiments at the same time.
        gpus: UUIDs of the GPUs that each slot shows its runs; ``None`` where all see the same.
    """

    isolation = "a process of its own for each experiment, started afresh (spawn)"

    def __init__(
        self,
        grace_s: float = 30.0,
        slots: int = 1,
        gpus: Sequence[Sequence[str]] | None = None,
    ) -> None:
        mend_inherited()
        self.slots = slots
        self._shares = [",".join(share) for share in gpus or ()]
        self._taken: dict[str, SpawnRun] = {}
        if slots > 1:
            self.warning = (
                f"Up to {slots} runs were on this machine at the same time "
                "(execution.local.slots): they share its cores, its memory and its power, so "
                "times and energy are not those of a run that has the machine alone."
            )
        self._grace_s = grace_s
        self._token = uuid.uuid4().hex
        self._started = 0
        self._waiting: tuple[str, _Worker] | None = None

    def start(self, task: LaunchTask) -> SpawnRun:
        """Hand the task to the worker that is waiting, or to a new one."""
        if self._shares:
            share = self._free_share()
            alone = self._worker({VARIABLE: share})
            alone.give(task)
            self._taken[share] = SpawnRun(alone, task, self._grace_s)
            return self._taken[share]
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            backend, idle = waiting
            if idle.is_alive() and backend == task.config.get("backend") and idle.give(task):
                return SpawnRun(idle, task, self._grace_s)
            idle.end()
        fresh = self._worker()
        fresh.give(task)  # one that is dead already is found out by its run
        return SpawnRun(fresh, task, self._grace_s)

    def warm_up(self, backend: str) -> None:
        """Start the next worker now, so that it imports while the study pauses."""
        if self._waiting is None and not self._shares:
            idle = self._worker()
            idle.give(WarmUp(backend))
            self._waiting = backend, idle

    def close(self) -> None:
        """End the waiting worker."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting[1].end()

    def _free_share(self) -> str:
        """The GPUs of a slot that nothing runs on."""
        return next(
            share
            for share in self._shares
            if share not in self._taken or self._taken[share].result() is not None
        )

    def _worker(self, environment: Mapping[str, str] | None = None) -> _Worker:
        self._started += 1
        # The full stop keeps the token of worker 1 from being the beginning of worker 12's.
        return _Worker(f"{self._token}.{self._started}.", environment or {})


class _Worker:
    """One spawned process and the pipes to it."""

    def __init__(self, token: str, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        task_reader, self._tasks = context.Pipe(duplex=False)
        result_reader, result_writer = context.Pipe(duplex=False)
        event_reader, event_writer = context.Pipe(duplex=False)
        theirs = (task_reader, result_writer, event_writer)
        self.token = token
        self.results, self.events = Inbox(result_reader), Inbox(event_reader)
        self.oom_kills_before = oom_kills()
        self.process = context.Process(
            target=worker.spawned, args=(*theirs, token), name="llem-experiment", daemon=False
        )
        _check_start_method(self.process)
        with _fit_to_start({guard.MARKER: token, **environment}):
            self.process.start()
        self.pid = self.process.pid
        self._death = guard.death_of(self.pid or 0)
        for connection in theirs:
            connection.close()

    def give(self, message: WarmUp | LaunchTask) -> bool:
        """Send a message; false if nobody is there to read it."""
        try:
            send(self._tasks, message)
        except OSError:
            return False
        return True

    def is_alive(self) -> bool:
        return self.process.is_alive()

    @property
    def death(self) -> int:
        """What becomes readable when it ends; its sentinel only once all its forks have ended."""
        return self.process.sentinel if self._death is None else self._death

    def end(self) -> int | None:
        """Kill it and everything that it started, and free what it held; gives its exit code."""
        if self.process.is_alive():
            with contextlib.suppress(OSError):
                os.kill(self.pid or 0, signal.SIGTERM)  # its keeper kills the others first
            self.process.join(2 * guard.GIVE_UP_S)
        if self.process.is_alive():
            guard.kill_all(self.token)
            self.process.kill()
        self.process.join()
        guard.kill_all(self.token)
        code = self.process.exitcode
        if self._death is not None:
            os.close(self._death)
        self.process.close()
        for end in (self._tasks, self.results, self.events):
            end.close()
        return code


class SpawnRun(WorkerRun):
    """One experiment in its spawned process."""

    def __init__(self, experiment: _Worker, task: LaunchTask, grace_s: float) -> None:
        super().__init__(task, str(experiment.pid), grace_s)
        self._worker = experiment

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Events until the process has ended or the time is over."""
        deadline_s = time.monotonic() + timeout_s
        death = self._worker.death
        while not self._ended:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return
            boxes = (self._worker.events, self._worker.results)
            open_ends = [box.fileno() for box in boxes if not box.ended]
            ready = wait([death, *open_ends], min(left_s, _LONGEST_WAIT_S))
            yield from self._take(*boxes)
            if death in ready:
                yield from self._take(*boxes)
                self._end()
            elif self._result is not None:
                # What libraries do at exit must not cost the result, nor hold up the study.
                wait([death], self._grace_s)
                yield from self._take(*boxes)
                self._end()

    def _end(self) -> None:
        broken = self._worker.results.broken
        code = self._worker.end()
        self._ended = True
        if self._result is None:
            self._result = describe_death(
                code,
                phase=self._phase,
                broken=broken,
                oom_kills_before=self._worker.oom_kills_before,
                log=self._log,
            )


def shares_of_gpus(slots: int, found: Gpus | None = None) -> list[tuple[str, ...]] | None:
    """Divide the GPUs that CUDA shows here among slots, so that no two runs share one.

    Args:
        slots: runs at the same time.
        found: the GPUs of this machine; the driver is asked if not given.

    Returns:
        UUIDs for each slot; ``None`` where there is no GPU.

    Raises:
        PreFlightError: there are fewer GPUs than slots, or which ones are meant is not known.
    """
    found = read_gpus() if found is None else found
    visible = visible_gpus(
        os.environ, [gpu.uuid for gpu in found.gpus], [gpu.name for gpu in found.gpus]
    )
    if visible.uuids is None:
        raise PreFlightError(
            f"execution.local.slots is {slots}, and which GPUs its runs may have is not known: "
            f"{visible.note}"
        )
    if not visible.uuids:
        return None
    each = len(visible.uuids) // slots
    if not each:
        raise PreFlightError(
            f"execution.local.slots is {slots}, and only {len(visible.uuids)} of this machine's "
            "GPUs may be used: two runs would share one. Lower it."
        )
    return [visible.uuids[slot * each : (slot + 1) * each] for slot in range(slots)]


def _check_start_method(process: SpawnProcess) -> None:
    if process._start_method != "spawn":
        raise StudyError(
            f"an experiment would be started by {process._start_method}, which shares memory with "
            "the study's process; this is a mistake in llem"
        )


@contextlib.contextmanager
def _fit_to_start(environment: Mapping[str, str]) -> Iterator[None]:
    """Within the block, a process that is started begins clean.

    It has these variables, its token among them. Signals wait until it has left the terminal's
    group. And it does not run the caller's main script again, as ``spawn`` would have it: a
    script without an ``if __name__ == "__main__"`` would start studies without end, and one that
    imports torch would bring it into every measured process.
    """
    # The tracker outlives workers: it must not carry a token.
    resource_tracker.ensure_running()
    main = sys.modules["__main__"]
    held = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
