"""The NVML sampler."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pynvml
from llem_core.contracts import (
    DomainReading,
    EnergyReading,
    EnergySampler,
    PowerSample,
    SamplerSettings,
)
from llem_core.errors import EnergyError

from llem_energy_nvml.config import NvmlConfig
from llem_energy_nvml.device import Device
from llem_energy_nvml.domain import Window, domain_reading
from llem_energy_nvml.edges import UNALIGNED_S, Edge, find_edges
from llem_energy_nvml.polling import Poller

_SHORT_S = 10 * UNALIGNED_S


@dataclass(frozen=True, slots=True)
class _Open:
    started_s: float
    edges: list[Edge]
    strangers: dict[str, tuple[str, ...]]


class NvmlSampler(EnergySampler):
    """Reads the energy counters of all GPUs that NVML shows, and samples their power.

    The energy of record is the difference of the counter between two of its ticks, with the
    energy between ticks and window taken off; without a counter it is power integrated. See
    ``domain`` for the uncertainty.
    """

    def __init__(self, settings: SamplerSettings) -> None:
        super().__init__(settings)
        section = settings.section
        self._section = section if isinstance(section, NvmlConfig) else NvmlConfig()
        self._devices: list[Device] = []
        self._poller: Poller | None = None
        self._open: dict[str, _Open] = {}
        self._driver = ""

    def start(self) -> None:
        """Open NVML and begin sampling."""
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise EnergyError(f"NVML cannot be opened: {error}") from error
        try:
            self._driver = pynvml.nvmlSystemGetDriverVersion()
            self._devices = [Device(i) for i in range(pynvml.nvmlDeviceGetCount())]
        except pynvml.NVMLError as error:
            pynvml.nvmlShutdown()
            raise EnergyError(f"NVML does not answer: {error}") from error
        self._poller = Poller(self._devices, self.settings.sample_interval_s)
        self._poller.start()

    def begin(self, window: str) -> None:
        """Open a window, at the counters' next tick."""
        strangers = {device.uuid: _strangers(device) for device in self._devices}
        edges = self._edges()
        self._open[window] = _Open(time.monotonic(), edges, strangers)

    def end(self, window: str) -> EnergyReading:
        """Close a window, and wait for the counters' next tick."""
        ended_s = time.monotonic()
        edges = self._edges()
        opened = self._open.pop(window)
        span = Window(opened.started_s, ended_s)
        samples = self._samples(span)
        domains = [
            self._domain(device, span, opened, start, end, samples)
            for device, start, end in zip(self._devices, opened.edges, edges, strict=True)
        ]
        return EnergyReading(
            window,
            span.started_s,
            span.ended_s,
            tuple(domains),
            samples,
            self._sensor(opened.edges, edges),
            _warnings(span),
        )

    def stop(self) -> None:
        """Stop sampling and close NVML."""
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.stop()
            pynvml.nvmlShutdown()

    def _edges(self) -> list[Edge]:
        longest_s = self._section.longest_wait_seconds if self._section.align_edges else 0.0
        return find_edges(self._devices, longest_s)

    def _samples(self, span: Window) -> tuple[PowerSample, ...]:
        assert self._poller is not None
        return self._poller.between(span.started_s, span.ended_s)

    def _domain(
        self,
        device: Device,
        span: Window,
        opened: _Open,
        start: Edge,
        end: Edge,
        samples: tuple[PowerSample, ...],
    ) -> DomainReading:
        own = [sample for sample in samples if sample.domain == device.uuid]
        reading = domain_reading(device, span, start, end, own)
        seen = dict.fromkeys([*opened.strangers[device.uuid], *_strangers(device)])
        return replace(reading, shared_with=tuple(seen))

    def _sensor(self, starts: list[Edge], ends: list[Edge]) -> dict[str, object]:
        return {
            "driver": self._driver,
            "passport": False,
            "devices": {
                device.uuid: {
                    "power_field": device.power_field,
                    "counter": device.has_counter,
                    "edges_aligned": start.ticked and end.ticked,
                    "power_limit_w": device.power_limit_w,
                }
                for device, start, end in zip(self._devices, starts, ends, strict=True)
            },
        }


def _warnings(span: Window) -> tuple[str, ...]:
    if span.duration_s >= _SHORT_S:
        return ()
    return (
        f"The window of {span.duration_s:.2f} s is short for a counter that is refreshed every "
        f"{UNALIGNED_S:g} s: it should last {_SHORT_S:g} s or more.",
    )


def _strangers(device: Device) -> tuple[str, ...]:
    """Processes on the device that are neither this one nor its children."""
    try:
        pids = device.compute_pids()
    except pynvml.NVMLError:
        return ()
    own = os.getpid()
    return tuple(f"{pid} {_name(pid)}".strip() for pid in pids if own not in _line(pid))


def _line(pid: int) -> list[int]:
    """The process and its ancestors, as far as the system tells."""
    line = [pid]
    while line[-1] > 1:
        try:
            stat = Path(f"/proc/{line[-1]}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        line.append(int(stat.rpartition(")")[2].split()[1]))
    return line


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
