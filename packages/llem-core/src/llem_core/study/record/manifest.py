"""The checkpoint of a study, ``manifest.json``: its schema and its one writer."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from llem_core.errors import StudyError
from llem_core.events import RunStatus
from llem_core.files import read_file, write_atomically
from llem_core.text import displayable, now

MANIFEST = "manifest.json"
MANIFEST_VERSION = 2
MANIFEST_HISTORY = {
    1: "first version",
    2: "`run_id` in place of the `pid` of a run; `launcher` says whose it is; `node` and "
    "`retried_after` are new",
}

StudyStatus = Literal["running", "completed", "failed", "interrupted"]

_STRICT = ConfigDict(extra="forbid", defer_build=True)


class ManifestEntry(BaseModel):
    """One run of a study, or one combination that never runs."""

    model_config = _STRICT

    config_hash: str = Field(
        description="measurement_config_hash; of a skipped combination, a hash of its raw fields."
    )
    cycle: int = Field(
        ge=0, le=10_000, description="Repetition, from 1; 0 for a skipped combination."
    )
    status: RunStatus = Field("pending", description="Where it stands.")
    result_file: str | None = Field(
        None, description="Its result.json, relative to the manifest, once it is completed."
    )
    error: str | None = Field(None, description="Why it has no result: type and message.")
    attempt: int = Field(0, ge=0, description="Starts so far.")
    run_id: str | None = Field(
        None, description="Last start, by its launcher's own name: a process id, a job's number."
    )
    node: str | None = Field(
        None, description="Node that it was on last, where its launcher has several."
    )
    retried_after: str | None = Field(
        None, description="Why the attempt before had no result, where it was tried again."
    )
    started_at: str | None = Field(None, description="Last start (ISO 8601, UTC).")
    finished_at: str | None = Field(None, description="End of the last start (ISO 8601, UTC).")

    @property
    def key(self) -> tuple[str, int]:
        """What names the run: hash and cycle."""
        return self.config_hash, self.cycle


class StudyManifest(BaseModel):
    """Where a study stands: replaced on the disk after every transition of every run."""

    model_config = _STRICT

    manifest_version: Literal[2] = Field(2, description="Version of this schema.")
    study_name: str = Field(description="Name of the study.")
    study_design_hash: str = Field(description="Names the set of configurations.")
    status: StudyStatus = Field("running", description="Where the study stands.")
    pid: int | None = Field(None, description="Process that runs or ran the study.")
    launcher: str = Field("local", description="What gives its runs their processes.")
    started_at: str = Field(description="When it started first (ISO 8601, UTC).")
    finished_at: str | None = Field(None, description="When it ended last (ISO 8601, UTC).")
    elapsed_s: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Time spent so far, over all starts (s)."
    )
    experiments: list[ManifestEntry] = Field(description="The runs, in execution order.")

    @model_validator(mode="before")
    @classmethod
    def _from_version_1(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("manifest_version") != 1:
            return data
        entries = [
            {**entry, "run_id": None if entry.get("pid") is None else str(entry["pid"])}
            for entry in data.get("experiments", ())
        ]
        for entry in entries:
            entry.pop("pid", None)
        return {**data, "manifest_version": MANIFEST_VERSION, "experiments": entries}

    def runs(self) -> Iterator[ManifestEntry]:
        """Entries that run, skipped combinations left out."""
        return (entry for entry in self.experiments if entry.status != "skipped")


def load_manifest(directory: Path) -> StudyManifest:
    """Read the manifest of a study's folder.

    Raises:
        StudyError: there is none, or it is no manifest; the message says what to do.
    """
    path = directory / MANIFEST
    try:
        return StudyManifest.model_validate_json(read_file(path))
    except FileNotFoundError as error:
        raise StudyError(
            f"{directory} holds no {MANIFEST}, so it is no study's folder; name the folder that "
            "`llem run` made for the study."
        ) from error
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = f"{place}: {first['msg']}" if place else first["msg"]
        raise StudyError(
            f"{path} is no manifest that this version of llem can go on with ({what}); the "
            "results beside it are intact. Run the study anew into another folder, or put the "
            "manifest back from a copy."
        ) from error


_LONGEST_ERROR = 400
_A_PART = 256

_FROM: dict[RunStatus, frozenset[RunStatus]] = {
    "pending": frozenset({"running"}),
    "running": frozenset({"pending"}),
    "completed": frozenset({"running"}),
    "failed": frozenset({"running"}),
    "interrupted": frozenset({"running"}),
}


class ManifestWriter:
    """Writes the manifest of one study, of which there must be only one writer at a time.

    Entries are kept as the bytes that stand in the file, so that a transition encodes one entry
    and joins it with its neighbours; the file is replaced in one step and flushed to the disk
    before a method returns. A crash leaves the former state.

    Args:
        directory: the study's folder, which exists.
        manifest: the state to begin with; it is written at once.

    Raises:
        StudyError: the manifest cannot be written; the former one is intact.
    """

    def __init__(self, directory: Path, manifest: StudyManifest) -> None:
        self.path = directory / MANIFEST
        self.manifest = manifest
        self._index = {entry.key: index for index, entry in enumerate(manifest.experiments)}
        if len(self._index) != len(manifest.experiments):
            raise StudyError("two runs of the study have the same configuration and cycle")
        self._encoded = [_encode(entry) for entry in manifest.experiments]
        self._parts = [self._joined(start) for start in range(0, len(self._encoded), _A_PART)]
        self._elapsed_before_s = manifest.elapsed_s
        self._started_s = time.monotonic()
        self._write()

    def entry(self, config_hash: str, cycle: int) -> ManifestEntry:
        """Where one run stands.

        Raises:
            StudyError: the study has no such run.
        """
        index = self._index.get((config_hash, cycle))
        if index is None:
            raise StudyError(f"the study has no run {config_hash} in cycle {cycle}")
        return self.manifest.experiments[index]

    def mark_running(self, config_hash: str, cycle: int, *, run_id: str = "") -> None:
        """One run begins, which its launcher knows as ``run_id``; counts the attempt."""
        attempt = self.entry(config_hash, cycle).attempt + 1
        self._move(
            config_hash, cycle, "running", attempt=attempt, run_id=run_id or None, started_at=now()
        )

    def mark_completed(
        self, config_hash: str, cycle: int, result_file: str, *, node: str | None = None
    ) -> None:
        """One run has a result in ``result_file``, a path relative to the study's folder."""
        finished = {"result_file": result_file, "node": node, "finished_at": now()}
        self._move(config_hash, cycle, "completed", **finished)

    def mark_failed(
        self, config_hash: str, cycle: int, error: str, *, node: str | None = None
    ) -> None:
        """One run ended without a result; ``error`` says why, and is cut to one short line."""
        ended = {"error": _one_line(error), "node": node, "finished_at": now()}
        self._move(config_hash, cycle, "failed", **ended)

    def mark_retried(
        self, config_hash: str, cycle: int, error: str, *, node: str | None = None
    ) -> None:
        """One run ended without a result because of ``error``, and will be tried again."""
        ended = {"retried_after": _one_line(error), "node": node, "finished_at": now()}
        self._move(config_hash, cycle, "pending", **ended)

    def mark_interrupted(self, config_hash: str, cycle: int) -> None:
        """One run was killed because the study was interrupted."""
        self._move(config_hash, cycle, "interrupted", finished_at=now())

    def finish(
        self,
        status: Literal["completed", "failed", "interrupted"],
        left: Collection[tuple[str, int]] = (),
    ) -> None:
        """The study has ended, and with it what was running.

        Args:
            status: how.
            left: hash and cycle of runs that go on without it, and stay ``running``.
        """
        for entry in self.manifest.experiments:
            if entry.status == "running" and entry.key not in left:
                ended = {"status": "interrupted", "finished_at": now()}
                self._replace(entry.model_copy(update=ended))
        self.manifest.status = status
        self.manifest.finished_at = now()
        self._write()

    @property
    def elapsed_s(self) -> float:
        """Time that the study has taken so far, over all its starts (s)."""
        return self._elapsed_before_s + time.monotonic() - self._started_s

    def _move(self, config_hash: str, cycle: int, status: RunStatus, **changes: Any) -> None:
        """A transition that cannot be written has not happened."""
        entry = self.entry(config_hash, cycle)
        if entry.status not in _FROM[status]:
            raise StudyError(
                f"run {config_hash} of cycle {cycle} is {entry.status} and cannot become {status}"
            )
        moved = entry.model_copy(update={"status": status, **changes})
        self._replace(moved)
        try:
            self._write()
        except BaseException:
            self._replace(entry)
            raise

    def _replace(self, entry: ManifestEntry) -> None:
        index = self._index[entry.key]
        self.manifest.experiments[index] = entry
        self._encoded[index] = _encode(entry)
        part = index // _A_PART
        self._parts[part] = self._joined(part * _A_PART)

    def _joined(self, start: int) -> bytes:
        """Entries from ``start`` on as they stand in the file, after what precedes them."""
        return (b",\n" if start else b"\n") + b",\n".join(self._encoded[start : start + _A_PART])

    def _write(self) -> None:
        self.manifest.elapsed_s = round(self.elapsed_s, 3)
        try:
            write_atomically(self.path, self._content())
        except OSError as error:
            raise StudyError(f"{self.path} cannot be written: {_why(self.path, error)}.") from error

    def _content(self) -> Iterator[bytes]:
        """The file in parts: to make one block of all of it would cost as much as the disk."""
        header = self.manifest.model_dump(mode="json", exclude={"experiments"})
        opening = json.dumps(header, indent=1).removesuffix("\n}")
        yield f'{opening},\n "experiments": ['.encode()
        yield from self._parts
        yield b"\n]}\n"


def _why(path: Path, error: OSError) -> str:
    if not path.parent.exists():
        return (
            "the study's folder is no longer there; if it was moved, what has been measured is in "
            "it: name its new place to --resume"
        )
    remedy = "Make room" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "Mend that"
    return f"{error.strerror}; the one before is intact. {remedy}, and resume the study"


def _encode(entry: ManifestEntry) -> bytes:
    return json.dumps(entry.model_dump(mode="json"), separators=(",", ":")).encode()


def _one_line(text: str) -> str:
    line = displayable(" ".join(text.split()))
    return line if len(line) <= _LONGEST_ERROR else f"{line[: _LONGEST_ERROR - 1]}…"
