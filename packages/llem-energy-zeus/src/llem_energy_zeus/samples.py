"""Samples of GPU power for the time series."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from llem_core.contracts import PowerSample

STATE_EVERY = 5
"""The device's state changes slowly: it is read with every fifth sample and held between."""


def no_state() -> PowerSample | None:
    """The state of a device that tells none."""
    return None


@dataclass(frozen=True, slots=True)
class PowerReader:
    """Reads one device.

    Attributes:
        domain: name of the device's domain.
        read_power_w: power in watts; raises when it cannot be read.
        read_temperature_c: temperature in degrees Celsius; likewise.
        read_state: utilisation, memory, clocks and throttle reasons, in a row without power;
            ``None`` where it has none.
    """

    domain: str
    read_power_w: Callable[[], float]
    read_temperature_c: Callable[[], float]
    read_state: Callable[[], PowerSample | None] = no_state


class SampleStore:
    """Takes samples from all readers and keeps them until they are dropped."""

    def __init__(self, readers: Sequence[PowerReader]) -> None:
        self._readers = tuple(readers)
        self._samples: deque[PowerSample] = deque()
        self._lock = threading.Lock()
        self._states: list[PowerSample | None] = [None] * len(self._readers)
        self._count = 0

    def take(self) -> None:
        """Read every device once."""
        if self._count % STATE_EVERY == 0:
            self._states = [reader.read_state() for reader in self._readers]
        self._count += 1
        rows = [_read(*pair) for pair in zip(self._readers, self._states, strict=True)]
        with self._lock:
            self._samples.extend(rows)

    def between(self, started_s: float, ended_s: float) -> tuple[PowerSample, ...]:
        """Give the samples of a window, oldest first."""
        with self._lock:
            return tuple(row for row in self._samples if started_s <= row.time_s <= ended_s)

    def drop_before(self, time_s: float) -> None:
        """Forget samples older than ``time_s``."""
        with self._lock:
            while self._samples and self._samples[0].time_s < time_s:
                self._samples.popleft()


def integrate(rows: Sequence[PowerSample], started_s: float, ended_s: float) -> float | None:
    """Energy of one device by the trapezoid rule, the outer samples held to the edges (J).

    ``None`` with fewer than two samples of power.
    """
    points = [(row.time_s, row.power_w) for row in rows if row.power_w is not None]
    if len(points) < 2:
        return None
    held = [(started_s, points[0][1]), *points, (ended_s, points[-1][1])]
    return math.fsum((t1 - t0) * (p0 + p1) / 2 for (t0, p0), (t1, p1) in itertools.pairwise(held))


def _read(reader: PowerReader, state: PowerSample | None) -> PowerSample:
    power_w = _value(reader.read_power_w)
    time_s = time.monotonic()
    row = state or PowerSample(time_s, reader.domain, None)
    return replace(
        row,
        time_s=time_s,
        domain=reader.domain,
        power_w=power_w,
        temperature_c=_value(reader.read_temperature_c),
    )


def _value(read: Callable[[], float]) -> float | None:
    try:
        return float(read())
    except Exception:  # noqa: BLE001 - a lost device raises whatever its library likes
        return None
