"""Runs one experiment in a process of its own.

Spawned by ``llem_core.study.launch.spawn``, or run by any other launcher as
``python -m llem_core.study.launch.worker``: a task on standard input, events and the result on
standard output, a message a line.

What an experiment needs is imported when it is needed; this module itself starts fast.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from llem_core.contracts.messages import (
    LaunchFailure,
    LaunchResult,
    LaunchSuccess,
    LaunchTask,
    Message,
    WarmUp,
)
from llem_core.events import Event, Listener, Phase, PhaseChanged
from llem_core.inherited import mend_inherited
from llem_core.study.launch.channel import EventQueue, receive, send
from llem_core.text import displayable

_LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
BASELINES = "baselines.json"
_LONGEST_MESSAGE, _LONGEST_TRACEBACK = 20_000, 8_000


def spawned(tasks: Connection, results: Connection, events: Connection, token: str) -> None:
    """Body of a spawned worker: wait for a task, run it, send its result.

    Args:
        tasks: gives ``WarmUp`` messages, any number, then a task.
        results: takes the result.
        events: takes events.
        token: what this process and its descendants are known by.
    """
    mend_inherited()
    _own_group()
    _keep(token)
    for message in _expected(tasks, results):
        if isinstance(message, WarmUp):
            warm_up(message.backend)
        elif isinstance(message, LaunchTask):
            _capture_output(log_path(message))
            send(results, execute(message, EventQueue(events).put))
            return


def _expected(tasks: Connection, results: Connection) -> Iterator[Message]:
    """What the study sends; if that cannot be read, the study is told why."""
    try:
        yield from receive(tasks)
    except ValueError as error:
        send(results, LaunchFailure("PreFlightError", f"the run cannot read its task: {error}"))


def log_path(task: LaunchTask) -> Path:
    """Where a spawned worker's output goes."""
    return Path(task.directory) / f"{task.folder}.log"


def execute(task: LaunchTask, listener: Listener) -> LaunchResult:
    """Measure one experiment in this process and write its folder.

    Args:
        task: the experiment.
        listener: is told of events; the plugins of this process are told as well.

    Returns:
        The result or the failure; nothing is raised.
    """
    phase: Phase | None = None

    def tell(event: Event) -> None:
        nonlocal phase
        if isinstance(event, PhaseChanged):
            phase = event.phase
        listener(event)

    try:
        return _measure(task, tell)
    # Whatever a plugin raises, sys.exit included, is this experiment's failure and no other's.
    except BaseException as error:  # noqa: BLE001
        return describe(error, phase)


def _measure(task: LaunchTask, listener: Listener) -> LaunchSuccess:
    from pydantic import ValidationError

    from llem_core.config.errors import describe as describe_errors
    from llem_core.config.experiment import ExperimentConfig
    from llem_core.errors import ConfigError, ExperimentError
    from llem_core.measure.baseline.cache import BaselineCache
    from llem_core.measure.harness import measure
    from llem_core.plugins.listeners import tell_plugins_and
    from llem_core.study.deliver import deliver

    try:
        config = ExperimentConfig.model_validate(task.config)
    except ValidationError as error:
        told = describe_errors(error, ExperimentConfig)
        raise ConfigError(f"the configuration is not valid where it runs: {told}") from error
    if config.measurement_config_hash != task.config_hash:
        raise ExperimentError(
            f"the configuration is {config.measurement_config_hash} here and {task.config_hash} "
            "where the study was planned; the two have different versions of llem or of a plugin"
        )
    study = Path(task.directory)
    baselines = BaselineCache(study / BASELINES)
    finished = measure(
        config, tell_plugins_and(listener), baselines=baselines, services=task.services
    )
    if task.warnings:
        warnings = [*task.warnings, *finished.result.measurement_warnings]
        result = finished.result.model_copy(update={"measurement_warnings": warnings})
        finished = dataclasses.replace(finished, result=result)
    directory = study / task.folder
    directory.mkdir()
    file = deliver(config, finished, directory).files[0]
    return LaunchSuccess(file.relative_to(study).as_posix(), file.stat().st_size)


def describe(error: BaseException, phase: Phase | None) -> LaunchFailure:
    """An exception as a failure: type, message and the end of its traceback."""
    import traceback

    kind, message = type(error).__name__, displayable(str(error)) or type(error).__name__
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(each, MemoryError) for each in causes):
        kind = "OutOfMemoryError"
    text = displayable("".join(traceback.format_exception(error)))
    return LaunchFailure(kind, message[:_LONGEST_MESSAGE], text[-_LONGEST_TRACEBACK:], phase)


def warm_up(backend: str) -> None:
    """Import what an experiment of this backend will import; a failure waits for the task."""
    with contextlib.suppress(Exception):
        from llem_core.measure import harness  # noqa: F401
        from llem_core.plugins import plugins

        warm_import = plugins().backends.get(backend).warm_import
        if warm_import is not None:
            warm_import()


def _own_group() -> None:
    """Leave the terminal's group, so that Ctrl+C reaches the study alone."""
    with contextlib.suppress(PermissionError):  # it leads a group already
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _keep(token: str) -> None:
    """Return in a process of which, and of whose descendants, nothing can be left behind."""
    import multiprocessing

    from llem_core.processes.guard import divide

    study = multiprocessing.parent_process()
    assert study is not None
    divide(token, study.pid or 0, study.sentinel)
    # They were held back while this process started.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def _capture_output(log: Path) -> None:
    """Send what libraries print, and the stack of a crash, to a file beside the results."""
    for stream in (sys.stdout, sys.stderr):
        # None where the study's was closed; nobody may read what it holds.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    descriptor = os.open(log, _LOG_FLAGS, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    faulthandler.enable(2)


STUDY = "--study"
"""Argument of a worker that a study has started on a disk that both see: warm-ups may come before
the task, what is printed goes to the run's log, and it ends with whoever holds its input open."""


def main(arguments: Sequence[str] = ()) -> int:
    """Run the task on standard input, and write messages to what was standard output."""
    from llem_core.contracts.messages import encode

    mend_inherited()
    faulthandler.enable(2)
    ours = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no message
    of_study = STUDY in arguments
    with os.fdopen(ours, "wb") as out:

        def tell(message: Message) -> None:
            out.write(encode(message))
            out.flush()

        try:
            task = _task()
        except ValueError as error:
            tell(LaunchFailure("PreFlightError", f"it cannot read its task: {error}"))
            return 1
        if of_study:
            threading.Thread(target=_end_with_input, name="llem-input-watch", daemon=True).start()
            _capture_output(log_path(task))
        tell(execute(task, tell))
    return 0


def _task() -> LaunchTask:
    """The task on standard input, after any warm-ups.

    Raises:
        ValueError: what came is none.
    """
    from llem_core.contracts.messages import decode

    # One reader for all: what it has taken ahead would be lost with it.
    with open(0, "rb", closefd=False) as lines:
        while True:
            message = decode(lines.readline())
            if isinstance(message, LaunchTask):
                return message
            if not isinstance(message, WarmUp):
                raise ValueError(f"not a task: {message}")  # noqa: TRY004 - one kind is enough
            warm_up(message.backend)


def _end_with_input() -> None:
    """Wait until standard input is closed: the study has ended; then end at once.

    In a container that ends everything; elsewhere the study's guard kills what has been started.
    """
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
