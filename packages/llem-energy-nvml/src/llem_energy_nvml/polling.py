"""Samples power and the rest at a steady rate, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pynvml
from llem_core.contracts import PowerSample

from llem_energy_nvml.device import Device

_SLOW_EVERY = 5
"""Readings that change slowly are taken with every fifth sample, and held between."""


class Poller:
    """Keeps samples of all devices until they are taken away.

    Args:
        devices: what to sample.
        interval_s: time between two samples of a device (s); the schedule does not drift.
    """

    def __init__(self, devices: Sequence[Device], interval_s: float) -> None:
        self._devices = devices
        self._interval_s = interval_s
        self._samples: list[PowerSample] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._slow: dict[str, PowerSample] = {}
        self._thread = threading.Thread(target=self._run, name="llem-nvml", daemon=True)

    def start(self) -> None:
        """Begin sampling."""
        self._thread.start()

    def stop(self) -> None:
        """End sampling; waits for the thread."""
        self._stop.set()
        self._thread.join()

    def between(self, started_s: float, ended_s: float) -> tuple[PowerSample, ...]:
        """Samples of that time (monotonic s), oldest first."""
        with self._lock:
            return tuple(s for s in self._samples if started_s <= s.time_s <= ended_s)

    def _run(self) -> None:
        next_s = time.monotonic()
        for count in range(1 << 62):
            for device in self._devices:
                self._sample(device, slow=count % _SLOW_EVERY == 0)
            next_s = max(next_s + self._interval_s, time.monotonic())
            if self._stop.wait(next_s - time.monotonic()):
                return

    def _sample(self, device: Device, *, slow: bool) -> None:
        try:
            if slow or device.uuid not in self._slow:
                self._slow[device.uuid] = _slow_readings(device)
            power_w = device.power_w()
            time_s = time.monotonic()
        except pynvml.NVMLError:
            return  # the window's edges will tell why
        held = self._slow[device.uuid]
        sample = PowerSample(
            time_s,
            device.uuid,
            power_w,
            held.temperature_c,
            held.utilisation_percent,
            held.memory_bytes,
            held.sm_clock_hz,
            held.memory_clock_hz,
            held.throttle_reasons,
        )
        with self._lock:
            self._samples.append(sample)


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
