"""Energy counters at the edge of a window: waits for their updates.

A plain difference of two reads is off by up to one refresh at each edge. Polling the counter finds
the moment of an update to within one step. Two updates are waited for: at the start they tell the
power just before the window, at the end the power just after it, and both tell the period.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import pynvml

from llem_energy_nvml.clock import Clock
from llem_energy_nvml.device import Device
from llem_energy_nvml.reading.counter import Read, Tick, tick_between

POLL_S = 0.002
_UPDATES = 2


@dataclass(slots=True)
class Edge:
    """One device's counter at one edge of a window.

    Attributes:
        first: the first read; ``None`` where it failed or there is no counter.
        last: the last one.
        ticks: the updates that were seen.
        error: why there is no reading.
        unknown: why there is none yet, or no longer.
        gap_s: time between the two reads that it was interpolated between; 0 where it was read.
    """

    first: Read | None = None
    last: Read | None = None
    ticks: list[Tick] = field(default_factory=list)
    error: str | None = None
    unknown: str | None = None
    gap_s: float = 0.0

    @property
    def aligned(self) -> bool:
        """Whether an update was seen."""
        return bool(self.ticks)

    @property
    def period_s(self) -> float | None:
        """Time between the last two updates that were seen (s)."""
        if len(self.ticks) < _UPDATES:
            return None
        return self.ticks[-1].time_s - self.ticks[-2].time_s

    @property
    def first_period_s(self) -> float | None:
        """Time between the first two updates that were seen (s)."""
        if len(self.ticks) < _UPDATES:
            return None
        return self.ticks[1].time_s - self.ticks[0].time_s

    @property
    def after_w(self) -> float | None:
        """Mean power between the first two updates that were seen (W)."""
        period_s = self.first_period_s
        if period_s is None or period_s <= 0:
            return None
        return (self.ticks[1].energy_j - self.ticks[0].energy_j) / period_s

    @property
    def between_w(self) -> float | None:
        """Mean power between the last two updates that were seen (W)."""
        period_s = self.period_s
        if period_s is None or period_s <= 0:
            return None
        return (self.ticks[-1].energy_j - self.ticks[-2].energy_j) / period_s


def find_edges(devices: Sequence[Device], longest_s: float, clock: Clock) -> list[Edge]:
    """Wait until every counter was updated twice, or two times ``longest_s`` at the most.

    A device that is done goes on being read until all are, so that its last update is recent.

    Returns:
        An edge a device, in their order.
    """
    edges = [Edge() for _ in devices]
    for device, edge in zip(devices, edges, strict=True):
        _read(device, edge, clock)
    deadline_s = clock.now() + _UPDATES * longest_s
    while any(_waits(edge) for edge in edges) and clock.now() < deadline_s:
        clock.sleep(POLL_S)
        for device, edge in zip(devices, edges, strict=True):
            if edge.last is not None and edge.error is None:
                _read(device, edge, clock)
    return edges


def edge_at(reads: Sequence[Read], time_s: float) -> Edge:
    """The counter at a moment that is past, from the reads on both sides of it."""
    after = bisect.bisect_left(reads, time_s, key=attrgetter("asked_s"))
    if after == 0:
        return Edge(unknown="its counter was first read after the interval's start")
    if after == len(reads):
        late_s = time_s - reads[-1].asked_s
        return Edge(unknown=f"its counter was last read {late_s:.3g} s before the interval's end")
    before, behind = reads[after - 1], reads[after]
    gap_s = behind.asked_s - before.asked_s
    share = (time_s - before.asked_s) / gap_s
    energy_j = before.energy_j + (behind.energy_j - before.energy_j) * share
    read = Read(time_s, time_s, energy_j)
    return Edge(first=read, last=read, gap_s=gap_s)


def _waits(edge: Edge) -> bool:
    return edge.error is None and edge.last is not None and len(edge.ticks) < _UPDATES


def _read(device: Device, edge: Edge, clock: Clock) -> None:
    asked_s = clock.now()
    try:
        energy_j = device.energy_j() if device.has_counter else None
    except pynvml.NVMLError as error:
        edge.error = f"NVML says: {error}"
        return
    if device.has_counter and energy_j is None:
        edge.error = "NVML says: the energy counter is not supported any more"
    if energy_j is None:
        return
    now = Read(asked_s, clock.now(), energy_j)
    if edge.last is None:
        edge.first = now
    else:
        tick = tick_between(edge.last, now)
        if tick is not None:
            edge.ticks.append(tick)
    edge.last = now
