"""Gives an experiment a process by a command line: another Python, or a container."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait

from llem_core.contracts.launcher import Launcher, Running
from llem_core.contracts.messages import LaunchFailure, LaunchTask, Message, WarmUp, encode
from llem_core.elsewhere.place import Command
from llem_core.events import Event
from llem_core.inherited import mend_inherited
from llem_core.processes import CapturedOutput, guard
from llem_core.study.launch.channel import Inbox
from llem_core.study.launch.endings import describe_death, oom_kills
from llem_core.study.launch.follow import WorkerRun

_LONGEST_WAIT_S = 3600.0
_ENGINE_FAILED = (125, 126, 127)

MakeCommand = Callable[[str, LaunchTask | None], Command]
"""Gives the command that starts a worker, from a name for its container and its task, if known."""


class CommandLauncher(Launcher):
    """Starts a worker by a command, sends it its task, and follows it over two pipes.

    Whoever dies first, no process and no container stays: a guard outlives this process, and the
    worker ends when its standard input is closed.

    Args:
        isolation: see ``Launcher``.
        make: gives the command.
        eager: whether a worker may be started before its task is known.
        grace_s: time that a worker may take to end after it has sent its result (s).
    """

    def __init__(
        self, isolation: str, make: MakeCommand, *, eager: bool = True, grace_s: float = 30.0
    ) -> None:
        mend_inherited()
        self.isolation = isolation
        self._make = make
        self._eager = eager
        self._grace_s = grace_s
        self._waiting: tuple[str, _Worker] | None = None

    def start(self, task: LaunchTask) -> Running:
        """Hand the task to the worker that is waiting, or to a new one."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            backend, idle = waiting
            if backend == task.config.get("backend") and idle.give(task):
                return CommandRun(idle, task, self._grace_s)
            idle.end()
        fresh = _Worker(self._make, task)
        fresh.give(task)  # one that is dead already is found out by its run
        return CommandRun(fresh, task, self._grace_s)

    def warm_up(self, backend: str) -> None:
        """Start the next worker now, so that it imports while the study pauses."""
        if self._waiting is None and self._eager:
            idle = _Worker(self._make, None)
            idle.give(WarmUp(backend))
            self._waiting = backend, idle

    def close(self) -> None:
        """End the waiting worker."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting[1].end()


class _Worker:
    """A worker's process, or the engine's that runs it in a container."""

    def __init__(self, make: MakeCommand, task: LaunchTask | None) -> None:
        token = uuid.uuid4().hex
        self.command = make(f"llem-{token[:12]}", task)
        self.token = f"{token}."
        self.output = CapturedOutput()
        self.oom_kills_before = oom_kills()
        self._guard = guard.start_guard(self.token, self.command.remove)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own environment
                self.command.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.output.fileno(),
                env={**self.command.environ, guard.MARKER: self.token},
                start_new_session=True,
            )
        except BaseException:
            self._guard.communicate(guard.ENDED)
            self.output.close()
            raise
        assert self._process.stdout is not None
        self.results = Inbox(self._process.stdout)
        self.death = guard.death_of(self._process.pid)

    @property
    def run_id(self) -> str:
        return self.command.container or str(self._process.pid)

    def give(self, message: Message) -> bool:
        """Send a message; false if nobody is there to read it."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(encode(message))
            stdin.flush()
        except OSError:
            return False
        return True

    def wait_for_end(self, limit_s: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(limit_s)

    def end(self) -> int | None:
        """Kill it with everything that it started, and free what it held; gives its exit code.

        That of a container's process is the process's own; minus a signal's number.
        """
        over = self._process.poll() is not None
        if not over and self.command.remove:
            quiet = subprocess.DEVNULL
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(  # noqa: S603 - the user's own engine
                    self.command.remove,
                    stdout=quiet,
                    stderr=quiet,
                    env=self.command.environ,
                    timeout=guard.GIVE_UP_S,
                    check=False,
                )
            self.wait_for_end(guard.GIVE_UP_S)
        guard.kill_all(self.token)
        if self._process.poll() is None:  # a system without /proc
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        # Where the container could not be removed, the guard tries it again.
        self._guard.communicate(guard.ENDED if over else b"")
        if self.death is not None:
            os.close(self.death)
        self.results.close()
        return 128 - code if self.command.container is not None and code > 128 else code


class CommandRun(WorkerRun):
    """One experiment in its worker."""

    def __init__(self, worker: _Worker, task: LaunchTask, grace_s: float) -> None:
        super().__init__(task, worker.run_id, grace_s)
        self._worker = worker

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Events until the worker has ended or the time is over."""
        deadline_s = time.monotonic() + timeout_s
        box, death = self._worker.results, self._worker.death
        while not self._ended:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return
            ends = [*([] if death is None else [death]), *([] if box.ended else [box.fileno()])]
            ready = wait(ends, min(left_s, _LONGEST_WAIT_S))
            yield from self._take(box)
            if self._result is not None or box.ended or box.broken or death in ready:
                # What libraries do at exit must not cost the result, nor hold up the study.
                self._worker.wait_for_end(0.0 if box.broken else self._grace_s)
                yield from self._take(box)
                self._end()

    def _end(self) -> None:
        broken = self._worker.results.broken
        code = self._worker.end()
        self._ended = True
        if self._result is None:
            self._result = self._failure(code, broken)
        self._worker.output.close()

    def _failure(self, code: int | None, broken: str | None) -> LaunchFailure:
        """The failure of a worker that sent no result."""
        told = self._worker.output.tail()
        command = self._worker.command
        if command.container is not None and code in _ENGINE_FAILED and self._phase is None:
            shown = " ".join(told.split())
            return LaunchFailure(
                "WorkerDied", f"{command.argv[0]} could not run the container: {shown or code}"
            )
        failure = describe_death(
            code,
            phase=self._phase,
            broken=broken,
            oom_kills_before=self._worker.oom_kills_before,
            log=self._log,
        )
        if told and failure.traceback is None:
            return LaunchFailure(failure.error_type, failure.message, told, failure.phase)
        return failure
