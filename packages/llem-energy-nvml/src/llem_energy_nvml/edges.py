"""Energy counters at a moment: waits for their tick, and states what error is left.

A counter is refreshed every 20 to 100 ms, so a plain difference of two reads is off by up to one
refresh at each edge. Waiting until the counter moves finds the moment of its refresh to within
one polling step; the energy between that moment and the window's edge is power × time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pynvml

from llem_energy_nvml.device import Device

POLL_S = 0.002
UNALIGNED_S = 0.1
"""Refresh period that is assumed where no tick was seen (arXiv 2312.02741: 20 to 100 ms)."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One counter at one edge of a window.

    Attributes:
        energy_j: the counter.
        time_s: when it took this value (monotonic s), or when it was read if it did not tick.
        ticked: whether the tick was seen.
        power_w: power just after.
        error: why there is no reading.
    """

    energy_j: float | None
    time_s: float
    ticked: bool
    power_w: float | None
    error: str | None = None

    def timing_s(self) -> float:
        """Half-width of the moment that ``energy_j`` belongs to (s)."""
        return POLL_S if self.ticked else UNALIGNED_S


def find_edges(
    devices: Sequence[Device],
    longest_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Edge]:
    """Wait until every device's counter has ticked, or ``longest_s`` at the most.

    Returns:
        An edge a device, in their order.
    """
    first = [_read(device, clock) for device in devices]
    edges: list[Edge | None] = [e if e.error or e.energy_j is None else None for e in first]
    deadline_s = clock() + longest_s
    while None in edges and clock() < deadline_s:
        sleep(POLL_S)
        for position, device in enumerate(devices):
            if edges[position] is None:
                now = _read(device, clock)
                if now.error or now.energy_j != first[position].energy_j:
                    edges[position] = Edge(
                        now.energy_j, now.time_s, not now.error, _power(device), now.error
                    )
    return [
        edge if edge is not None else Edge(start.energy_j, start.time_s, False, _power(device))
        for edge, start, device in zip(edges, first, devices, strict=True)
    ]


def _read(device: Device, clock: Callable[[], float]) -> Edge:
    try:
        return Edge(device.energy_j(), clock(), False, None)
    except pynvml.NVMLError as error:
        return Edge(None, clock(), False, None, f"NVML says: {error}")


def _power(device: Device) -> float | None:
    try:
        return device.power_w()
    except pynvml.NVMLError:
        return None
