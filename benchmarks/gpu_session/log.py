"""The session's record: one JSON line a step, and one archive with everything behind it.

Only the standard library is used here, so that the record is kept even where an install failed.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LOG_NAME, ARCHIVE_NAME, RAW_NAME = "session.jsonl", "session.tar.gz", "raw"
LEFT_OUT_NAME = "left_out.json"
MOST_BYTES = 15 << 20
"""Of the archive. What comes back from a lent machine may have 16 MiB a file."""


class Log:
    """Appends lines to ``session.jsonl`` and packs it, with the raw files, after each.

    Args:
        output: folder of the log and of the archive, and of nothing else.
        raw: folder whose files go into the archive.
        most_bytes: size of the archive at the most; the largest files are left out beyond it.
    """

    def __init__(self, output: Path, raw: Path, most_bytes: int = MOST_BYTES) -> None:
        output.mkdir(parents=True, exist_ok=True)
        raw.mkdir(parents=True, exist_ok=True)
        self.path, self.archive, self._raw = output / LOG_NAME, output / ARCHIVE_NAME, raw
        self._most_bytes = most_bytes

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one line through to the disk, then refresh the archive."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.pack()

    def pack(self) -> None:
        """Replace the archive by one of all that there is now."""
        files = sorted(self._files(), key=lambda file: file.stat().st_size)
        left_out: dict[str, int] = {}
        partial = self.archive.with_suffix(".part")
        while True:
            self._write(partial, files, left_out)
            if partial.stat().st_size <= self._most_bytes or not files:
                break
            largest = files.pop()
            left_out[str(largest.relative_to(self._raw))] = largest.stat().st_size
        partial.replace(self.archive)

    def _files(self) -> Iterator[Path]:
        return (file for file in self._raw.rglob("*") if file.is_file())

    def _write(self, path: Path, files: list[Path], left_out: Mapping[str, int]) -> None:
        with tarfile.open(path, "w:gz", compresslevel=6) as archive:
            archive.add(self.path, LOG_NAME)
            for file in files:
                archive.add(file, f"{RAW_NAME}/{file.relative_to(self._raw)}")
            if left_out:
                note = path.with_name(LEFT_OUT_NAME)
                note.write_text(json.dumps(left_out), encoding="utf-8")
                archive.add(note, LEFT_OUT_NAME)
                note.unlink()


def parse_log(text: str) -> list[dict[str, Any]]:
    """The records of a log; a last line that was cut short is passed over."""
    records = []
    for line in text.splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def read_archive(path: Path) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The records of an archive, and the files that were too large for it with their bytes."""
    with tarfile.open(path) as archive:
        names = archive.getnames()

        def text(name: str) -> str:
            file = archive.extractfile(name)
            assert file is not None
            return file.read().decode("utf-8")

        left_out = json.loads(text(LEFT_OUT_NAME)) if LEFT_OUT_NAME in names else {}
        return parse_log(text(LOG_NAME)), left_out
