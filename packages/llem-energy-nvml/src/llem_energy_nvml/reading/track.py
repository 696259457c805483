"""What was read of one device over time, oldest first."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from operator import attrgetter
from typing import TypeVar

import pynvml
from llem_core.contracts import PowerSample

from llem_energy_nvml.clock import Clock
from llem_energy_nvml.device import Device
from llem_energy_nvml.reading.counter import Read

T = TypeVar("T")
_SLOW_EVERY = 5
"""Readings that change slowly are taken with every fifth sample, and held between."""


class Track:
    """Samples and counter reads of one device.

    ``sample`` runs in the sampling thread and appends; a list can be read meanwhile.

    Attributes:
        device: the device.
        samples: power and the rest.
        reads: of the counter.
        errors: failed samples: when (monotonic s) and what NVML said.
    """

    def __init__(self, device: Device, clock: Clock) -> None:
        self.device = device
        self.samples: list[PowerSample] = []
        self.reads: list[Read] = []
        self.errors: list[tuple[float, str]] = []
        self._clock = clock
        self._count = 0
        self._slow: PowerSample | None = None

    def sample(self) -> None:
        """Read power and counter, and every now and then the rest."""
        if self._slow is None or self._count % _SLOW_EVERY == 0:
            self._slow = _slow_readings(self.device)
        self._count += 1
        slow, now = self._slow, self._clock.now
        asked_s = now()
        try:
            energy_j = self.device.energy_j() if self.device.has_counter else None
            answered_s = now()
            power_w = self.device.power_w()
        except pynvml.NVMLError as error:
            self.errors.append((asked_s, str(error)))
            return
        if energy_j is not None:
            self.reads.append(Read(asked_s, answered_s, energy_j))
        sample = PowerSample(
            now(),
            slow.domain,
            power_w,
            slow.temperature_c,
            slow.utilisation_percent,
            slow.memory_bytes,
            slow.sm_clock_hz,
            slow.memory_clock_hz,
            slow.throttle_reasons,
        )
        self.samples.append(sample)

    def samples_between(self, started_s: float, ended_s: float) -> Sequence[PowerSample]:
        """Samples of that time."""
        return _between(self.samples, "time_s", started_s, ended_s)

    def reads_between(self, started_s: float, ended_s: float) -> Sequence[Read]:
        """Counter reads that were asked for in that time."""
        return _between(self.reads, "asked_s", started_s, ended_s)

    def errors_between(self, started_s: float, ended_s: float) -> list[tuple[float, str]]:
        """Failed samples of that time."""
        return [error for error in self.errors if started_s <= error[0] <= ended_s]


def _between(rows: Sequence[T], field: str, started_s: float, ended_s: float) -> Sequence[T]:
    moment = attrgetter(field)
    first = bisect.bisect_left(rows, started_s, key=moment)
    return rows[first : bisect.bisect_right(rows, ended_s, key=moment)]


def _slow_readings(device: Device) -> PowerSample:
    return PowerSample(
        0.0,
        device.uuid,
        None,
        device.temperature_c(),
        device.utilisation_percent(),
        device.memory_bytes(),
        device.clock_hz(pynvml.NVML_CLOCK_SM),
        device.clock_hz(pynvml.NVML_CLOCK_MEM),
        device.throttle_reasons(),
    )
