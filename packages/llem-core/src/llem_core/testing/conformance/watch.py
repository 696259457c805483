"""Watches what a plugin does to the process that it lives in."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

GRACE_S = 2.0
"""How long a thread or a process that was told to end may take."""

# Python starts it by itself, once a process, when a shared semaphore is made.
_PYTHONS_OWN = b"multiprocessing.resource_tracker"


@dataclass
class Watched:
    """What happened within a ``watch`` block.

    Attributes:
        printed: what reached stdout or stderr, by whatever way.
        threads: names of threads that were started and not ended.
        children: ids and names of child processes that were started and not ended.
        changes: sentences on what else of the process is not as it was.
    """

    printed: str = ""
    threads: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


@contextlib.contextmanager
def watch() -> Iterator[Watched]:
    """Within the block, keep printing off the terminal and note what changes.

    Yields:
        The record; it is filled in when the block ends.
    """
    record = Watched()
    threads, children, before = set(threading.enumerate()), set(_children()), _state()
    try:
        with tempfile.TemporaryFile() as file:
            try:
                with _captured(file.fileno()):
                    yield record
            finally:
                file.seek(0)
                record.printed = file.read().decode(errors="replace")
    finally:
        record.threads = [thread.name for thread in _left(threads)]
        record.children = _children_left(children)
        record.changes = _differences(before, _state())


@contextlib.contextmanager
def _captured(target: int) -> Iterator[None]:
    """Send both streams, and the descriptors under them, to a file."""
    with contextlib.ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        for number in (1, 2):
            with contextlib.suppress(OSError):  # it is closed: nothing can be printed there
                kept = os.dup(number)
                stack.callback(_restore, kept, number)
                os.dup2(target, number)
        stream = stack.enter_context(
            io.TextIOWrapper(os.fdopen(os.dup(target), "wb", buffering=0), write_through=True)
        )
        for given in (sys.stdout, sys.stderr):
            stack.callback(_flush, given)
        stack.enter_context(contextlib.redirect_stdout(stream))
        stack.enter_context(contextlib.redirect_stderr(stream))
        yield


def _flush(stream: io.TextIOBase | object) -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        stream.flush()  # type: ignore[union-attr]


def _restore(kept: int, number: int) -> None:
    os.dup2(kept, number)
    os.close(kept)


def _left(before: set[threading.Thread]) -> list[threading.Thread]:
    deadline_s = time.monotonic() + GRACE_S
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    return [thread for thread in left if thread.is_alive()]


def _children() -> dict[int, str]:
    """Child processes of this one by id, the dead that nobody has waited for included."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            name, _, rest = stat.partition("(")[2].rpartition(")")
            command = (folder / "cmdline").read_bytes()
            if int(rest.split()[1]) == os.getpid() and _PYTHONS_OWN not in command:
                found[int(folder.name)] = name
    return found


def _children_left(before: set[int]) -> list[str]:
    deadline_s = time.monotonic() + GRACE_S
    while True:
        left = [f"{pid} {name}" for pid, name in _children().items() if pid not in before]
        if not left or time.monotonic() > deadline_s:
            return left
        time.sleep(0.02)


def _state() -> dict[str, object]:
    """What a guest does not touch, by what a person calls it."""
    state: dict[str, object] = {
        f"the handler of {signal.Signals(number).name}": signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM)
    }
    state["the working directory"] = str(Path.cwd())
    state["sys.excepthook"] = sys.excepthook
    state["the handlers of the root logger"] = list(logging.getLogger().handlers)
    state["sys.path"] = list(sys.path)
    return state | {f"the environment variable {k}": v for k, v in os.environ.items()}


def _differences(before: dict[str, object], after: dict[str, object]) -> list[str]:
    changed = [name for name in before if name in after and before[name] != after[name]]
    gone = [name for name in before if name not in after]
    new = [name for name in after if name not in before]
    return [
        *(f"{name} was changed{_how(before[name], after[name])}" for name in changed),
        *(f"{name} was removed" for name in gone),
        *(f"{name} was set" for name in new),
    ]


def _how(before: object, after: object) -> str:
    """What became of a value: the entries of a list that came and went, or both values."""
    if not isinstance(before, list) or not isinstance(after, list):
        return f" from {before!r} to {after!r}"
    came = [f"{entry!r} was added" for entry in after if entry not in before]
    went = [f"{entry!r} was removed" for entry in before if entry not in after]
    return f": {', '.join([*came, *went]) or 'its order is another'}"
