"""Baselines that a study's experiments hand on, each of which runs in a process of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llem_core.contracts.sampler import EnergyReading
from llem_core.files import write_atomically

VERSION = 2
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_clock_s() -> float:
    """Seconds since this machine was started, sleep included: the same in every process.

    Where the system has no such clock it is the monotonic one, which processes also share.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def boot_id() -> str | None:
    """Names this start of the machine; ``None`` where the system does not tell."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None


class BaselineCache:
    """A small file of baselines with the moment when each was measured.

    A missing file, one of another version and one that cannot be read are an empty cache. Ages
    are told by the machine's own clock, not by the time of day, so the baselines of an earlier
    start of the machine are none; where the system does not name its starts nothing is kept.

    Args:
        path: the file, in the study's folder. It is replaced as a whole.
        clock: seconds since the machine was started.
        started: names this start of the machine.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = boot_clock_s,
        started: Callable[[], str | None] = boot_id,
    ) -> None:
        self.path = path
        self._clock = clock
        self._boot = started()

    def get(self, key: str, ttl_s: float) -> tuple[Sequence[EnergyReading], float] | None:
        """A baseline that is no older than ``ttl_s``.

        Returns:
            Its readings, one a part, and its age (s); ``None`` where there is none.
        """
        entry = self._load().entries.get(key)
        if entry is None or self._boot is None or entry.boot_id != self._boot:
            return None
        age_s = self._clock() - entry.ended_s
        return (entry.readings, age_s) if 0 <= age_s <= ttl_s else None

    def put(self, key: str, readings: Sequence[EnergyReading], age_s: float, ttl_s: float) -> None:
        """Keep a baseline for ``ttl_s`` from the moment when it was measured.

        Args:
            key: names what it may be used for.
            readings: one a part; their samples are not kept.
            age_s: how long ago it ended.
            ttl_s: how long it may be used.
        """
        if self._boot is None:
            return
        now_s = self._clock()
        # The ages of another machine's entries are told by its own clock alone.
        entries = {
            k: e
            for k, e in self._load().entries.items()
            if e.boot_id != self._boot or now_s < e.ended_s + e.ttl_s
        }
        bare = [replace(reading, samples=(), sensor={}) for reading in readings]
        entries[key] = _Entry(boot_id=self._boot, ended_s=now_s - age_s, ttl_s=ttl_s, readings=bare)
        content = _File(version=VERSION, entries=entries)
        # A full disk costs the next experiment half a minute, and must not cost this one.
        with contextlib.suppress(OSError):
            write_atomically(self.path, content.model_dump_json().encode())

    def _load(self) -> _File:
        try:
            content = _File.model_validate_json(self.path.read_bytes())
        except (OSError, ValidationError):
            return _File(version=VERSION)
        return content if content.version == VERSION else _File(version=VERSION)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

    boot_id: str
    ended_s: float
    ttl_s: float
    readings: list[EnergyReading]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

    version: int
    entries: dict[str, _Entry] = {}
