"""Samples of GPU power for the time series."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llem_core.contracts import PowerSample


@dataclass(frozen=True, slots=True)
class PowerReader:
    """Reads one device.

    Attributes:
        domain: name of the device's domain.
        read_power_w: power in watts; raises when it cannot be read.
        read_temperature_c: temperature in degrees Celsius; likewise.
    """

    domain: str
    read_power_w: Callable[[], float]
    read_temperature_c: Callable[[], float]


class SampleStore:
    """Takes samples from all readers and keeps them until they are dropped."""

    def __init__(self, readers: Sequence[PowerReader]) -> None:
        self._readers = tuple(readers)
        self._samples: deque[PowerSample] = deque()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Read every device once."""
        rows = [_read(reader) for reader in self._readers]
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


def _read(reader: PowerReader) -> PowerSample:
    power_w = _value(reader.read_power_w)
    time_s = time.monotonic()
    return PowerSample(
        time_s, reader.domain, power_w, temperature_c=_value(reader.read_temperature_c)
    )


def _value(read: Callable[[], float]) -> float | None:
    try:
        return float(read())
    except Exception:  # noqa: BLE001 - a lost device raises whatever its library likes
        return None
