"""From two edges and the samples between them to one device's reading and its uncertainty.

Terms of the budget, each a standard uncertainty (k = 1):

edges
    The counter's moment is known to a half-width h at each edge (one polling step where the tick
    was seen, one refresh where not); the energy within is P·h, uniform: P·h/√3 an edge. The
    power between the window's edge and the tick, Δt away, is taken as the power read there; it is
    off by the range R of all powers seen at the most, either way: R·Δt/√3 (JCGM 100:2008, 4.3.7).
quantisation
    The counter counts millijoules: 1 mJ/√12 an edge.
sampling
    Integrated power only: the scatter of the samples about their mean over the root of their
    number, as if each stood for its interval by chance; and one interval at the edges.
gain
    The card's own scale: −8 % to +13 % across boards against an external meter (arXiv
    2312.02741), taken as uniform, half-width 10.5 %: 6.1 % of the energy. Absolute.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.contracts import DomainReading, PowerSample, UncertaintyComponent
from llem_core.units import MILLI

from llem_energy_nvml.device import Device
from llem_energy_nvml.edges import Edge

GAIN_HALF_WIDTH = 0.105
_LONGEST_STILL_S = 1.0
_LIMIT_FACTOR = 1.5
_UNKNOWN_LIMIT_W = 2000.0


@dataclass(frozen=True, slots=True)
class Window:
    """A window's edges in time (monotonic s)."""

    started_s: float
    ended_s: float

    @property
    def duration_s(self) -> float:
        """Length (s)."""
        return self.ended_s - self.started_s


def domain_reading(
    device: Device, window: Window, start: Edge, end: Edge, samples: Sequence[PowerSample]
) -> DomainReading:
    """The reading of one device: by counter if it has one, else by integrating power."""
    if device.mig:
        reason = "MIG is on: the board's energy cannot be told apart between its instances"
        return _missing(device, reason)
    error = start.error or end.error
    if error:
        return _missing(device, f"the device was lost during the window ({error})")
    integral_j = integrate(samples, window)
    if start.energy_j is None or end.energy_j is None:
        return _integrated(device, window, samples, integral_j)
    powers = [s.power_w for s in samples if s.power_w is not None]
    return _counted(device, window, start, end, powers, integral_j)


def integrate(samples: Sequence[PowerSample], window: Window) -> float | None:
    """Energy from power samples by the trapezoid rule, the outer ones held to the edges (J).

    ``None`` with fewer than two samples.
    """
    points = [(s.time_s, s.power_w) for s in samples if s.power_w is not None]
    points = [p for p in points if window.started_s <= p[0] <= window.ended_s]
    if len(points) < 2:
        return None
    held = [(window.started_s, points[0][1]), *points, (window.ended_s, points[-1][1])]
    steps = itertools.pairwise(held)
    return math.fsum((t1 - t0) * (p0 + p1) / 2 for (t0, p0), (t1, p1) in steps)


def _counted(
    device: Device,
    window: Window,
    start: Edge,
    end: Edge,
    powers_w: Sequence[float],
    integral_j: float | None,
) -> DomainReading:
    assert start.energy_j is not None
    assert end.energy_j is not None
    span_j, span_s = end.energy_j - start.energy_j, end.time_s - start.time_s
    doubt = _doubt(device, span_j, span_s)
    if doubt:
        return _missing(device, doubt, integral_j)
    lead_s = window.started_s - start.time_s
    tail_s = end.time_s - window.ended_s
    before_w, after_w = start.power_w or 0.0, end.power_w or 0.0
    energy_j = span_j - before_w * lead_s - after_w * tail_s
    run_w = energy_j / window.duration_s
    seen_w = (run_w, before_w, after_w, *powers_w)
    range_w = max(seen_w) - min(seen_w)
    edges_j = math.hypot(
        before_w * start.timing_s() / math.sqrt(3),
        max(run_w, after_w) * end.timing_s() / math.sqrt(3),
        range_w * tail_s / math.sqrt(3),
        range_w * max(lead_s, 0.0) / math.sqrt(3),
    )
    return DomainReading(
        name=device.uuid,
        kind="gpu",
        energy_j=energy_j,
        method="counter",
        label=device.name,
        resolution_j=MILLI,
        uncertainty=(
            UncertaintyComponent("edges", edges_j),
            UncertaintyComponent("quantisation", MILLI * math.sqrt(2 / 12)),
            _gain(energy_j),
        ),
        cross_check_j=integral_j,
        cross_check_method="integrated" if integral_j is not None else None,
    )


def _doubt(device: Device, span_j: float, span_s: float) -> str | None:
    if span_j < 0:
        return "the energy counter went backwards: the driver was reloaded or the device reset"
    if span_j == 0 and span_s > _LONGEST_STILL_S:
        return f"the energy counter stood still for {span_s:.1f} s: it is dead"
    most_w = _LIMIT_FACTOR * (device.power_limit_w or _UNKNOWN_LIMIT_W)
    if span_s > 0 and span_j / span_s > most_w:
        return (
            f"the energy counter jumped by {span_j:.0f} J in {span_s:.2f} s, more than the board "
            "can draw"
        )
    return None


def _integrated(
    device: Device, window: Window, samples: Sequence[PowerSample], integral_j: float | None
) -> DomainReading:
    if integral_j is None:
        return _missing(device, "no energy counter, and too few power samples in the window")
    powers = [s.power_w for s in samples if s.power_w is not None]
    scatter_w = statistics.stdev(powers) / math.sqrt(len(powers))
    interval_s = window.duration_s / len(powers)
    mean_w = integral_j / window.duration_s
    return DomainReading(
        name=device.uuid,
        kind="gpu",
        energy_j=integral_j,
        method="integrated",
        label=device.name,
        uncertainty=(
            UncertaintyComponent("sampling", scatter_w * window.duration_s),
            UncertaintyComponent("edges", mean_w * interval_s * math.sqrt(2 / 3)),
            _gain(integral_j),
        ),
    )


def _gain(energy_j: float) -> UncertaintyComponent:
    return UncertaintyComponent("gain", energy_j * GAIN_HALF_WIDTH / math.sqrt(3), "absolute")


def _missing(device: Device, reason: str, check_j: float | None = None) -> DomainReading:
    return DomainReading(
        name=device.uuid,
        kind="gpu",
        energy_j=None,
        method="counter" if device.has_counter else "integrated",
        reason=reason,
        label=device.name,
        cross_check_j=check_j,
        cross_check_method=None if check_j is None else "integrated",
    )
