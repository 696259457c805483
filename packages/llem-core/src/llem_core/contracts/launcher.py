"""The contract of a launcher: how an experiment of a study is given a process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from llem_core.contracts.config import Section
from llem_core.contracts.hookspecs import Availability

if TYPE_CHECKING:
    from llem_core.contracts.messages import LaunchResult, LaunchTask
    from llem_core.events import Event


class RunState(StrEnum):
    """Where a run stands for its launcher."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


class Running(ABC):
    """One experiment that was started.

    Attributes:
        run_id: what ``Launcher.attach`` finds it by, kept in the study's manifest: a process id, a
            job's number, a container's name; empty where it cannot be found again.
        node: name of the machine that it runs on, once that is known; ``None`` where there is but
            one.
        waits_for: why it is still queued, in the words of its queue; ``None`` where nobody says.
    """

    run_id: str = ""
    node: str | None = None
    waits_for: str | None = None

    @property
    def state(self) -> RunState:
        """Where it stands: running until it has a result, unless a launcher with a queue says more.

        A time limit counts from the first time that this is ``RUNNING``.
        """
        return RunState.RUNNING if self.result() is None else RunState.ENDED

    @abstractmethod
    def events(self, timeout_s: float) -> Iterator[Event]:
        """Yield what happens, as it happens; block in between.

        Returns when the state has changed or, at the latest, after ``timeout_s`` seconds, and is
        then called again, until the experiment has ended.
        """

    @abstractmethod
    def result(self) -> LaunchResult | None:
        """How the experiment ended; ``None`` while it has not."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, with everything that it started; harmless when it has ended.

        After this nothing of it is alive, and ``result`` no longer gives ``None``.
        """


class Launcher(ABC):
    """Starts experiments, each in a clean process of its own.

    The runner calls ``start`` for as many experiments as there are ``slots``, asks each for its
    ``events`` in turn until it has a ``result`` or its time is over, calls ``kill`` and starts the
    next.
    An experiment is run by ``python -m llem_core.study.launch.worker``, which reads a task from its
    standard input and writes events and the result to its standard output, a message a line;
    it writes its own results into the study's folder. A launcher carries that to another
    process, container or machine that sees the same folder.

    A whole plugin::

        import os, queue, signal, subprocess, sys, threading, time
        from llem_core.contracts import (
            Event, Launcher, LauncherSpec, LaunchFailure, Running, decode, encode, hookimpl,
        )

        LLEM_CONTRACT = 2

        class CommandRun(Running):
            def __init__(self, task):
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "llem_core.study.launch.worker"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
                )
                self.run_id = str(self.process.pid)
                self.process.stdin.write(encode(task))
                self.process.stdin.close()
                self.lines, self.ended = queue.SimpleQueue(), None
                threading.Thread(target=self.read, daemon=True).start()

            def read(self):
                with self.process.stdout as lines:
                    for line in lines:
                        self.lines.put(line)
                self.lines.put(None)

            def events(self, timeout_s):
                deadline_s = time.monotonic() + timeout_s
                while self.ended is None and (left_s := deadline_s - time.monotonic()) > 0:
                    try:
                        line = self.lines.get(timeout=left_s)
                    except queue.Empty:
                        return
                    message = None if line is None else decode(line)
                    if isinstance(message, Event):
                        yield message
                    else:
                        self.ended = message
                        self.kill()

            def result(self):
                return self.ended

            def kill(self):
                if self.process.poll() is None:
                    os.killpg(self.process.pid, signal.SIGKILL)
                code = self.process.wait()
                self.ended = self.ended or LaunchFailure("WorkerDied", f"it ended with {code}")

        class CommandLauncher(Launcher):
            isolation = "a command per experiment"

            def start(self, task):
                return CommandRun(task)

        @hookimpl
        def llem_launchers():
            return [LauncherSpec(
                "command", "A command for each run.", lambda section: CommandLauncher(),
            )]

    Attributes:
        isolation: how each experiment is given its process, for the study's protocol.
        slots: experiments that may run at the same time, at least 1. More than one must never
            share a device, nor measure on one machine by default.
        retries: how often a run is tried again after a failure that ``is_transient``, where
            ``execution.retries`` does not say.
        outlives_study: whether its runs go on when the study's process is gone, so that ``attach``
            finds them; then a study that is interrupted may leave them.
        warning: what every result has to say of how runs are placed, such as that two of them
            share a machine; ``None`` where there is nothing.
    """

    isolation: str = "unknown"
    slots: int = 1
    retries: int = 0
    outlives_study: bool = False
    warning: str | None = None

    @abstractmethod
    def start(self, task: LaunchTask) -> Running:
        """Start one experiment and return at once.

        Raises:
            OSError: no process can be started.
        """

    def start_all(self, tasks: Sequence[LaunchTask]) -> Sequence[Running]:
        """Start several experiments that may begin at the same moment, one for each free slot.

        A launcher that can say so in one request does; by default each is started by ``start``.

        Returns:
            Their runs, in the order of the tasks.

        Raises:
            OSError: no process can be started; none of them is left.
        """
        started: list[Running] = []
        try:
            for task in tasks:
                started.append(self.start(task))  # noqa: PERF401 - what has started must be known
        except BaseException:
            for running in started:
                running.kill()
            raise
        return started

    def attach(self, task: LaunchTask, run_id: str) -> Running | None:
        """Find a run again that an earlier process of the study has started.

        Args:
            task: as it was given to ``start``.
            run_id: that of the ``Running`` which ``start`` gave.

        Returns:
            The run, in whatever state; ``None`` where it cannot be found: it is then started anew.
        """
        del task, run_id
        return None

    def warm_up(self, backend: str) -> None:  # noqa: B027 - optional
        """A pause begins, after which an experiment of this backend is started.

        A launcher may start the process now and let it import; it must return at once.
        """

    def close(self) -> None:  # noqa: B027 - optional
        """The study is over: end whatever is still there."""


def _always_usable() -> Availability:
    return Availability(True, "needs nothing that is not here")


@dataclass(frozen=True, slots=True)
class LauncherSpec:
    """How a launcher makes itself known; returned by the hook ``llem_launchers``.

    Attributes:
        name: its name, which ``execution.launcher`` chooses it by, and that of its section in
            ``execution``: lower case, no dots.
        summary: one line on where runs go.
        create: makes the launcher from its section (``None`` if it has none).
        section: class of its configuration, if it has any.
        availability: whether it can be used here, and why not; must be cheap.
        grants_resources: whether it gives a run what ``execution.resources`` asks for; asking one
            that does not is an error before anything runs.
    """

    name: str
    summary: str
    create: Callable[[Section | None], Launcher]
    section: type[Section] | None = None
    availability: Callable[[], Availability] = _always_usable
    grants_resources: bool = False
