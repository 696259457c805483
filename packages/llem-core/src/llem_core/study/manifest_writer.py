"""Keeps ``manifest.json`` true: one atomic replacement a transition, whatever the size."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Literal

from llem_core.atomic import write_atomically
from llem_core.errors import StudyError
from llem_core.events import RunStatus
from llem_core.study.clock import now
from llem_core.study.manifest import MANIFEST, ManifestEntry, StudyManifest

_LONGEST_ERROR = 400

_FROM: dict[RunStatus, frozenset[RunStatus]] = {
    "running": frozenset({"pending"}),
    "completed": frozenset({"running"}),
    "failed": frozenset({"running"}),
    "interrupted": frozenset({"running"}),
}


class ManifestWriter:
    """Writes the manifest of one study, of which there must be only one writer at a time.

    Entries are kept as the bytes that stand in the file, so that a transition encodes one entry
    and joins the rest; the file is replaced in one step and flushed to the disk before a method
    returns. A crash leaves the former state.

    Args:
        directory: the study's folder, which exists.
        manifest: the state to begin with; it is written at once.

    Raises:
        StudyError: the manifest cannot be written; the former one is intact.
    """

    def __init__(self, directory: Path, manifest: StudyManifest) -> None:
        self.path = directory / MANIFEST
        self.manifest = manifest
        self._entries = {entry.key: entry for entry in manifest.experiments}
        if len(self._entries) != len(manifest.experiments):
            raise StudyError("two runs of the study have the same configuration and cycle")
        self._index = {key: index for index, key in enumerate(self._entries)}
        self._encoded = [_encode(entry) for entry in manifest.experiments]
        self._elapsed_before_s = manifest.elapsed_s
        self._started_s = time.monotonic()
        for stale in directory.glob(f".{MANIFEST}.*.tmp"):
            with contextlib.suppress(OSError):
                stale.unlink()
        self._write()

    def entry(self, config_hash: str, cycle: int) -> ManifestEntry:
        """Where one run stands."""
        return self._entries[config_hash, cycle]

    def mark_running(self, config_hash: str, cycle: int, *, pid: int | None = None) -> None:
        """One run begins, in the process ``pid``; counts the attempt."""
        entry = self._move(config_hash, cycle, "running")
        entry.attempt += 1
        entry.pid, entry.started_at, entry.finished_at = pid, now(), None
        entry.result_file = entry.error = None
        self._save(entry)

    def mark_completed(self, config_hash: str, cycle: int, result_file: str) -> None:
        """One run has a result in ``result_file``, a path relative to the study's folder."""
        self._end(config_hash, cycle, "completed", result_file, None)

    def mark_failed(self, config_hash: str, cycle: int, error: str) -> None:
        """One run ended without a result; ``error`` says why, and is cut to one short line."""
        self._end(config_hash, cycle, "failed", None, _one_line(error))

    def mark_interrupted(self, config_hash: str, cycle: int) -> None:
        """One run was killed because the study was interrupted."""
        self._end(config_hash, cycle, "interrupted", None, None)

    def finish(self, status: Literal["completed", "failed", "interrupted"]) -> None:
        """The study has ended."""
        self.manifest.status = status
        self.manifest.finished_at = now()
        self._write()

    @property
    def elapsed_s(self) -> float:
        """Time that the study has taken so far, over all its starts (s)."""
        return self._elapsed_before_s + time.monotonic() - self._started_s

    def _move(self, config_hash: str, cycle: int, status: RunStatus) -> ManifestEntry:
        entry = self._entries.get((config_hash, cycle))
        if entry is None:
            raise StudyError(f"the study has no run {config_hash} in cycle {cycle}")
        if entry.status not in _FROM[status]:
            raise StudyError(
                f"run {config_hash} of cycle {cycle} is {entry.status} and cannot become {status}"
            )
        entry.status = status
        return entry

    def _end(
        self,
        config_hash: str,
        cycle: int,
        status: RunStatus,
        result_file: str | None,
        error: str | None,
    ) -> None:
        entry = self._move(config_hash, cycle, status)
        entry.result_file, entry.error, entry.finished_at = result_file, error, now()
        self._save(entry)

    def _save(self, entry: ManifestEntry) -> None:
        self._encoded[self._index[entry.key]] = _encode(entry)
        self._write()

    def _write(self) -> None:
        self.manifest.elapsed_s = round(self.elapsed_s, 3)
        header = self.manifest.model_dump(mode="json", exclude={"experiments"})
        opening = json.dumps(header, indent=1).removesuffix("\n}").encode()
        body = b",\n".join(self._encoded)
        try:
            write_atomically(self.path, b'%b,\n "experiments": [\n%b\n]}\n' % (opening, body))
        except OSError as error:
            raise StudyError(
                f"{self.path} cannot be written: {error.strerror}; the one before is intact. Make "
                f"room and go on with `llem run --resume {self.path.parent}`."
            ) from error


def _encode(entry: ManifestEntry) -> bytes:
    return json.dumps(entry.model_dump(mode="json"), separators=(",", ":")).encode()


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_ERROR else f"{line[: _LONGEST_ERROR - 1]}…"
