"""The contract of a launcher: how an experiment of a study is given a process.

What passes between a study and that process are messages, each one line of JSON, so that they can
cross a pipe, a socket or a file."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from llem_core import events
from llem_core.events import Event, ExperimentState, Phase


@dataclass(frozen=True, slots=True)
class LaunchTask:
    """One experiment to run.

    Attributes:
        config_hash: ``measurement_config_hash`` of the experiment.
        config: its resolved fields, as JSON types.
        directory: the study's folder, as an absolute path.
        folder: name of the experiment's own folder in it, which the experiment makes.
    """

    config_hash: str
    config: dict[str, Any]
    directory: str
    folder: str


@dataclass(frozen=True, slots=True)
class LaunchFailure:
    """Why an experiment has no result.

    Attributes:
        error_type: name of the exception, or of what befell the process.
        message: one paragraph: what is wrong, where, and what to do about it.
        traceback: where it happened, cut to its end; ``None`` where nobody knows.
        phase: the step that it happened in, if known.
    """

    error_type: str
    message: str
    traceback: str | None = None
    phase: Phase | None = None


@dataclass(frozen=True, slots=True)
class LaunchSuccess:
    """An experiment's result, after its folder has been written.

    Attributes:
        result: ``ExperimentResult`` as JSON text.
    """

    result: str


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Import what a backend needs, and wait for a task."""

    backend: str


LaunchResult: TypeAlias = LaunchSuccess | LaunchFailure
Message: TypeAlias = Event | LaunchTask | LaunchSuccess | LaunchFailure | WarmUp

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(LaunchTask, LaunchFailure, LaunchSuccess, WarmUp),
        *(events.ExperimentStarted, events.ExperimentFinished, events.ExperimentFailed),
        *(events.PhaseChanged, events.PhaseProgress, events.PluginFailed),
    )
}
_ENUMS: dict[str, type[Phase | ExperimentState]] = {"phase": Phase, "state": ExperimentState}


def encode(message: Message) -> bytes:
    """One message as one line, newline included."""
    fields = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    return json.dumps([type(message).__name__, fields], separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of one line.

    Raises:
        ValueError: it is none.
    """
    try:
        name, fields = json.loads(line)
        for key, kind in _ENUMS.items():
            if fields.get(key) is not None:
                fields[key] = kind(fields[key])
        message: Message = _KINDS[name](**fields)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"not a message ({error}): {line[:80]!r}") from error
    return message


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
    An experiment is run by ``python -m llem_core.study.launch.worker``, which reads a task from its
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
                    [sys.executable, "-m", "llem_core.study.launch.worker"],
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
