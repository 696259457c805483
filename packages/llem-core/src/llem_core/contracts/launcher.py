"""The contract of a launcher: how an experiment of a study is given a process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from llem_core.contracts.messages import LaunchResult, LaunchTask
from llem_core.events import Event


class Running(ABC):
    """One experiment that was started.

    Attributes:
        pid: id of its process, if it is one of this machine.
    """

    pid: int | None = None

    @abstractmethod
    def events(self, timeout_s: float) -> Iterator[Event]:
        """Yield what happens, as it happens; block in between.

        Ends when the experiment has ended or, at the latest, after ``timeout_s`` seconds.
        """

    @abstractmethod
    def result(self) -> LaunchResult | None:
        """How the experiment ended; ``None`` while it is still running."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, with everything that it started; harmless when it has ended.

        After this nothing of it is alive, and ``result`` no longer gives ``None``.
        """


class Launcher(ABC):
    """Starts experiments, each in a clean process of its own.

    The runner calls ``start``, exhausts ``events``, asks for ``result`` (no result by then means
    that the time was over) and calls ``kill``, before the next ``start``: one experiment runs at
    a time.
    An experiment is run by ``python -m llem_core.study.worker``, which reads a task from its
    standard input and writes events and the result to its standard output, a message a line;
    it writes its own results into the study's folder. A launcher carries that to another
    process, container or machine that sees the same folder.

    A whole launcher::

        import os, signal, subprocess, sys, threading
        from llem_core.contracts import (
            Event, Launcher, LaunchFailure, Running, decode, encode,
        )

        class CommandRun(Running):
            def __init__(self, process):
                self.process, self.pid = process, process.pid
                self.ended = None

            def events(self, timeout_s):
                limit = threading.Timer(timeout_s, os.killpg, (self.pid, signal.SIGKILL))
                limit.start()
                for line in self.process.stdout:
                    message = decode(line)
                    if isinstance(message, Event):
                        yield message
                    else:
                        self.ended = message
                self.process.wait()
                if limit.is_alive():
                    limit.cancel()
                    self.kill()

            def result(self):
                return self.ended

            def kill(self):
                if self.process.poll() is None:
                    os.killpg(self.pid, signal.SIGKILL)
                code = self.process.wait()
                self.process.stdout.close()
                self.ended = self.ended or LaunchFailure("WorkerDied", f"it ended with {code}")

        class CommandLauncher(Launcher):
            isolation = "a command per experiment"

            def start(self, task):
                process = subprocess.Popen(
                    [sys.executable, "-m", "llem_core.study.worker"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
                )
                process.stdin.write(encode(task))
                process.stdin.close()
                return CommandRun(process)

    Attributes:
        isolation: how each experiment is given its process, for the study's protocol.
    """

    isolation: str = "unknown"

    @abstractmethod
    def start(self, task: LaunchTask) -> Running:
        """Start one experiment and return at once.

        Raises:
            OSError: no process can be started.
        """

    def warm_up(self, backend: str) -> None:  # noqa: B027 - optional
        """A pause begins, after which an experiment of this backend is started.

        A launcher may start the process now and let it import; it must return at once.
        """

    def close(self) -> None:  # noqa: B027 - optional
        """The study is over: end whatever is still there."""
