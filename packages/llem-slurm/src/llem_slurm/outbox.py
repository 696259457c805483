"""The job's side of a mailbox: the one writer of its files.

It imports next to nothing: what it costs is taken from the node on which a run is about to start.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Started:
    """What a job says of itself when it begins.

    Attributes:
        node: the node's name, as SLURM has it.
        job_id: its own number, as SLURM has it.
        pid: process id of the job's own process on that node.
    """

    node: str
    job_id: str
    pid: int


def read_from(path: Path, offset: int) -> bytes:
    """What a file has from an offset on.

    The file is opened anew each time: NFS looks at the server again when a file is opened.

    Raises:
        OSError: it cannot be read, or is not there yet.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        file.seek(offset)
        return file.read()


class Outbox:
    """Writes the files of a mailbox that the study reads.

    Args:
        folder: the mailbox.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._events: int | None = None

    def task(self) -> bytes:
        """The task that was put there before the job was submitted, as one line.

        Raises:
            OSError: it cannot be seen (yet).
        """
        return read_from(self._folder / "task.json", 0)

    def start(self, started: Started) -> None:
        """Say where the run is; from now on it is running."""
        self._place("started.json", json.dumps(asdict(started)).encode())

    def append(self, lines: bytes) -> None:
        """Add whole lines to the events, and have them leave this node."""
        if self._events is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            self._events = os.open(self._folder / "events.jsonl", flags, 0o666)
        left = memoryview(lines)
        while left:
            left = left[os.write(self._events, left) :]
        os.fsync(self._events)

    def end(self, result: bytes) -> None:
        """Say how it ended, in one line; the last word."""
        if self._events is not None:
            os.close(self._events)
            self._events = None
        self._place("ended.json", result)

    def _place(self, name: str, content: bytes) -> None:
        """Write a file of a new name, so that it is whole when it appears."""
        hidden = self._folder / f".{name}.{os.getpid()}"
        with hidden.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        hidden.rename(self._folder / name)
