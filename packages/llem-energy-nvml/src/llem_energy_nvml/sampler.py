"""The NVML sampler."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pynvml
from llem_core.contracts import (
    DomainReading,
    EnergyReading,
    EnergySampler,
    PowerSample,
    SamplerSettings,
    UsedDevices,
)
from llem_core.errors import EnergyError
from llem_core.meters import DeviceProcesses, VisibleGpus, visible_gpus

from llem_energy_nvml.clock import Clock, RealClock
from llem_energy_nvml.config import NvmlConfig
from llem_energy_nvml.device import Device
from llem_energy_nvml.probe.passports import Passports
from llem_energy_nvml.reading.account import Window
from llem_energy_nvml.reading.domain import Observed, domain_reading
from llem_energy_nvml.reading.edges import Edge, edge_at, find_edges
from llem_energy_nvml.reading.facts import sensor_facts
from llem_energy_nvml.reading.track import Track
from llem_energy_nvml.reading.warnings import reading_warnings


@dataclass(frozen=True, slots=True)
class _Open:
    started_s: float
    edges: list[Edge]
    pids: dict[str, tuple[int, ...]]


class NvmlSampler(EnergySampler):
    """Reads the energy counters of all GPUs that NVML shows, and samples their power.

    The energy of record is the difference of the counter between its updates at the window's
    edges, with the energy between update and edge taken off; without a counter it is power
    integrated. See ``domain`` for the reading and ``account`` for its uncertainty.

    Args:
        settings: as for any sampler.
        clock: time; a simulated one in tests.
        passports: what has been measured of the devices' sensors; the user's own if not given.
    """

    def __init__(
        self,
        settings: SamplerSettings,
        clock: Clock | None = None,
        passports: Passports | None = None,
    ) -> None:
        super().__init__(settings)
        section = settings.section
        self._section = section if isinstance(section, NvmlConfig) else NvmlConfig()
        self._clock = clock or RealClock()
        self._passports = passports or Passports()
        self._tracks: list[Track] = []
        self._watched: list[Track] = []
        self._lost: list[DomainReading] = []
        self._visible = VisibleGpus(None)
        self._processes: dict[str, DeviceProcesses] = {}
        self._stop: Callable[[], None] | None = None
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
            self._find_devices(pynvml.nvmlDeviceGetCount())
        except pynvml.NVMLError as error:
            pynvml.nvmlShutdown()
            raise EnergyError(f"NVML does not answer: {error}") from error
        self._stop = self._clock.every(self._interval_s(), self._sample)

    def begin(self, window: str) -> None:
        """Open a window, at the counters' next updates."""
        pids = {track.device.uuid: track.device.process_ids() for track in self._tracks}
        edges = self._edges()
        self._open[window] = _Open(self._clock.now(), edges, pids)

    def end(self, window: str) -> EnergyReading:
        """Close a window, and wait for the counters' next updates.

        Raises:
            EnergyError: no window of that name is open.
        """
        ended_s = self._clock.now()
        if window not in self._open:
            raise EnergyError(f"No window {window!r} is open.")
        edges = self._edges()
        opened = self._open.pop(window)
        span = Window(opened.started_s, ended_s)
        return self._reading(window, span, opened.edges, edges, opened.pids)

    @property
    def delay_s(self) -> float:
        """Until the next read of the counters, and the longest that one has taken (s)."""
        return 2 * self._interval_s()

    def energy_between(self, started_s: float, ended_s: float) -> EnergyReading:
        """Energy of any interval since ``start``, from the reads that sampling has taken.

        Edges are interpolated between two reads of the counter, so they are as uncertain as those
        of a window that was not aligned; who knows the edges beforehand opens a window.
        """
        span = Window(started_s, ended_s)
        starts = [self._past_edge(track, started_s) for track in self._tracks]
        ends = [self._past_edge(track, ended_s) for track in self._tracks]
        return self._reading("interval", span, starts, ends, {})

    def now_s(self) -> float:
        """Monotonic time, by the sampler's clock (s)."""
        return self._clock.now()

    def wait(self, duration_s: float) -> None:
        """Let time pass, by the sampler's clock (s)."""
        self._clock.sleep(duration_s)

    def _past_edge(self, track: Track, time_s: float) -> Edge:
        if track.device.has_counter:
            return edge_at(track.reads, time_s)
        if not track.samples or track.samples[0].time_s > time_s:
            return Edge(unknown="its power was first read after the interval's start")
        if track.samples[-1].time_s < time_s:
            return Edge(unknown="its last power sample is older than the interval's end")
        return Edge()

    def _reading(
        self,
        window: str,
        span: Window,
        starts: Sequence[Edge],
        ends: Sequence[Edge],
        pids: Mapping[str, tuple[int, ...]],
    ) -> EnergyReading:
        seen = [
            Observed(track, span, start, end, self._section.calibration_of(track.device.uuid))
            for track, start, end in zip(self._tracks, starts, ends, strict=True)
        ]
        domains = [self._domain(each, pids.get(each.track.device.uuid, ())) for each in seen]
        return EnergyReading(
            window,
            span.started_s,
            span.ended_s,
            (*domains, *self._lost),
            self._samples(span),
            sensor_facts(self._driver, seen, self._visible),
            reading_warnings(seen, domains, self._visible),
        )

    def stop(self) -> None:
        """Stop sampling and close NVML."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
            pynvml.nvmlShutdown()

    def _find_devices(self, count: int) -> None:
        self._tracks, self._lost = [], []
        # A card that cannot be opened keeps its place in the order that indices count.
        uuids: list[str] = []
        names: list[str] = []
        for index in range(count):
            try:
                device = Device(index)
            except pynvml.NVMLError as error:
                reason = f"NVML could not open it ({error}); look at the kernel log"
                self._lost.append(
                    DomainReading(f"gpu:{index}", "gpu", None, "counter", reason=reason)
                )
                uuids.append(f"gpu:{index}")
                names.append("")
                continue
            uuids.append(device.uuid)
            names.append(device.name)
            if self._section.passport:
                device.sensor = self._passports.sensor(device, self._driver)
            self._tracks.append(Track(device, self._clock))
        devices = [track.device for track in self._tracks]
        self._visible = visible_gpus(os.environ, uuids, names)
        shown = self._visible.uuids
        self._watched = [t for t in self._tracks if shown is None or t.device.uuid in shown]
        self._processes = {d.uuid: DeviceProcesses(d.uuid, d.process_ids()) for d in devices}

    def _interval_s(self) -> float:
        """As was asked for, or the power field's own rate where power is all that a card has."""
        updates = [t.device.sensor.update_s for t in self._tracks if not t.device.has_counter]
        return min([self.settings.sample_interval_s, *updates])

    def use_devices(self, used: UsedDevices) -> None:
        """Poll the used GPUs alone from now on; the others are read at a window's edges."""
        self._watched = [
            track
            for track in self._tracks
            if not used.uuids.isdisjoint((track.device.uuid, *track.device.mig.instances))
        ] or (self._watched if used.kind == "gpu" else [])

    def _sample(self) -> None:
        for track in self._watched:
            track.sample()

    def _edges(self) -> list[Edge]:
        longest_s = self._section.longest_wait_seconds if self._section.align_edges else 0.0
        watched = self._watched
        rest = [track for track in self._tracks if track not in watched]
        # Once each: waiting for the updates of cards that take no part costs calls.
        others = find_edges([t.device for t in rest], 0.0, self._clock)
        aligned = find_edges([t.device for t in watched], longest_s, self._clock)
        edges = [*zip(rest, others, strict=True), *zip(watched, aligned, strict=True)]
        found = {track.device.uuid: edge for track, edge in edges}
        return [found[track.device.uuid] for track in self._tracks]

    def _samples(self, span: Window) -> tuple[PowerSample, ...]:
        rows: list[PowerSample] = []
        for track in self._tracks:
            known = self._section.calibration_of(track.device.uuid)
            found = track.samples_between(span.started_s, span.ended_s)
            if known is None:
                rows += found
                continue
            rows += [
                replace(
                    row,
                    power_w=None
                    if row.power_w is None
                    else (row.power_w - known.offset_w) / known.gain,
                )
                for row in found
            ]
        return tuple(sorted(rows, key=lambda row: row.time_s))

    def _domain(self, seen: Observed, before: Sequence[int]) -> DomainReading:
        device = seen.track.device
        reading = domain_reading(seen)
        pids = {*before, *device.process_ids()}
        uuids = self._visible.uuids
        return replace(
            reading,
            parts=device.mig.instances,
            shared_with=self._processes[device.uuid].others(pids),
            visible=None if uuids is None else device.uuid in uuids,
        )
