"""The files that carry messages between a study and a job on another node.

Both see one folder, but not at the same time: on NFS, Lustre and their like a file that one node
has written may appear on another a minute later, an append may be seen in part, and the end of a
file may read as zero bytes until its content has arrived. Locks may hold on one node only. So
nothing here needs a lock, and this is all that is relied on:

- each file has one writer, and a name that is never used again;
- what was renamed into place is whole when it appears;
- what was appended appears in order, sooner or later, once it has been flushed.

A mailbox is a folder with ``task.json`` (written by the study before the job is submitted),
``started.json``, ``events.jsonl`` and ``ended.json`` (written by the job, the last one when nothing
of the run is alive any more).
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from llem_core.contracts import (
    Event,
    LaunchFailure,
    LaunchResult,
    LaunchSuccess,
    LaunchTask,
    decode,
    encode,
    write_atomically,
)

from llem_slurm.outbox import Started, read_from

FOLDER = "slurm"
"""Name of the folder in the study's own that holds all mailboxes."""

Read = Callable[[Path, int], bytes]
"""Gives what a file has from an offset on; raises ``OSError`` where it cannot be seen (yet)."""


class Inbox:
    """The study's side of a mailbox.

    Args:
        folder: the mailbox.
        read: how its files are read.

    Attributes:
        broken: what is wrong with what came, if anything.
    """

    def __init__(self, folder: Path, read: Read = read_from) -> None:
        self.folder = folder
        self._read = read
        self._offset = 0
        self._started: Started | None = None
        self._ended: LaunchResult | None = None
        self.broken: str | None = None

    @property
    def started(self) -> Started | None:
        """What the job said of itself; ``None`` while that has not appeared."""
        if self._started is None:
            content = self._content("started.json")
            try:
                self._started = None if content is None else Started(**json.loads(content))
            except (TypeError, ValueError) as error:
                self.broken = f"started.json is damaged ({error})"
        return self._started

    @property
    def ended(self) -> LaunchResult | None:
        """How the run ended; ``None`` while that has not appeared."""
        content = None if self._ended is not None else self._content("ended.json")
        if content is not None:
            try:
                message = decode(content)
            except ValueError as error:
                self._ended = LaunchFailure("WorkerDied", f"what the job said at its end: {error}")
            else:
                fits = isinstance(message, LaunchSuccess | LaunchFailure)
                self._ended = message if fits else None  # type: ignore[assignment]
        return self._ended

    def events(self) -> Iterator[Event]:
        """The events that have appeared since the last call."""
        try:
            seen = self._read(self.folder / "events.jsonl", self._offset)
        except OSError:
            return
        # Zero bytes stand for content that has not arrived; half a line waits for its rest.
        seen = seen.partition(b"\0")[0]
        lines, newline, _ = seen.rpartition(b"\n")
        self._offset += len(lines) + len(newline)
        for line in lines.splitlines() if newline else ():
            try:
                message = decode(line)
            except ValueError as error:
                self.broken = str(error)
            else:
                if isinstance(message, Event):
                    yield message

    def _content(self, name: str) -> bytes | None:
        """A file that was renamed into place; ``None`` until all of it has appeared."""
        try:
            content = self._read(self.folder / name, 0)
        except OSError:
            return None
        return content if content and b"\0" not in content else None


class Mailboxes:
    """All mailboxes of a study.

    Args:
        study: the study's folder.
    """

    def __init__(self, study: Path) -> None:
        self._folder = study / FOLDER

    @property
    def name(self) -> str:
        """What all jobs of this study are called in the queue; the same after a resumption."""
        path = self._folder / "name"
        try:
            return path.read_text(encoding="ascii").strip()
        except OSError:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"llem-{uuid.uuid4().hex[:12]}"
            write_atomically(path, f"{name}\n".encode())
            return name

    @property
    def scripts(self) -> Path:
        """Where submitit keeps its scripts, and SLURM what jobs print."""
        return self._folder / "submitit"

    def new(self, task: LaunchTask) -> Path:
        """Make a mailbox of a new name, with the task in it."""
        folder = self._folder / f"{task.folder}.{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        write_atomically(folder / "task.json", encode(task))
        return folder

    def name_job(self, job_id: str, mailbox: Path) -> None:
        """Note whose mailbox it is, for a later process of the study."""
        jobs = self._folder / "jobs"
        jobs.mkdir(exist_ok=True)
        write_atomically(jobs / job_id, f"{mailbox.name}\n".encode())

    def discard(self, job_id: str) -> None:
        """Remove what a job has left that has given its result; harmless if there is nothing."""
        mailbox = self.of_job(job_id)
        if mailbox is not None:
            shutil.rmtree(mailbox, ignore_errors=True)
            (self._folder / "jobs" / job_id).unlink(missing_ok=True)
        for path in self.scripts.glob(f"{job_id}_*"):
            path.unlink(missing_ok=True)

    def of_job(self, job_id: str) -> Path | None:
        """The mailbox of a job; ``None`` where none is known."""
        if not job_id.replace("_", "").isdecimal():
            return None  # anybody can edit a manifest
        try:
            name = (self._folder / "jobs" / job_id).read_text(encoding="utf-8").strip()
        except OSError:
            return None
        folder = self._folder / name
        return folder if Path(name).name == name and folder.is_dir() else None
