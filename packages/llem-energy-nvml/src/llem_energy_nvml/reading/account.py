"""Energy of a window from an energy counter, and how far its edges can be off.

Derivations are in docs/uncertainty.md; the names of the terms are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from llem_energy_nvml.reading.counter import Interval, Read
from llem_energy_nvml.reading.edges import Edge
from llem_energy_nvml.sensor import LAG_S, Sensor

_LOOK_S = 0.2
"""How far to look into the window for the power beside its edges."""
_JITTER = 0.1
"""Share by which one refresh may differ from the next."""
_DIP = 0.3
"""Between two values of the power field, power may fall to this share of the least one seen."""
_ROOT_3 = math.sqrt(3)


@dataclass(frozen=True, slots=True)
class Window:
    """A window's edges in time (monotonic s)."""

    started_s: float
    ended_s: float

    @property
    def duration_s(self) -> float:
        """Length (s)."""
        return self.ended_s - self.started_s


@dataclass(frozen=True, slots=True)
class Powers:
    """What is known of the power around a window (W).

    Attributes:
        lowest_w, highest_w: of what was seen.
        limit_w: what the board can draw.
        resolved_s: fluctuations shorter than this are not seen.
        hidden: whether what was seen shows no bounds of the power within a refresh.
    """

    lowest_w: float
    highest_w: float
    limit_w: float
    resolved_s: float
    hidden: bool = False

    @property
    def least_w(self) -> float:
        """Lower bound of the power within a refresh."""
        return 0.0 if self.hidden else self.lowest_w

    @property
    def most_w(self) -> float:
        """Upper bound of the power within a refresh."""
        return max(self.limit_w, self.highest_w) if self.hidden else self.highest_w

    def seen(self, powers_w: Iterable[float | None]) -> Powers:
        """The same with more powers seen."""
        known = [p for p in powers_w if p is not None]
        return replace(
            self,
            lowest_w=min([self.lowest_w, *known]),
            highest_w=max([self.highest_w, *known]),
        )

    def unseen_j(self, mean_w: float, longest_s: float) -> float:
        """Half-width of what a fluctuation too short to be seen moves across an edge (J).

        Either a steady one between a dip and the board's limit, or one spike that shows in a value
        as the highest power seen.
        """
        least_w = _DIP * min(self.least_w or mean_w, mean_w)
        above = max(mean_w - least_w, 0.0)
        span_w = max(self.limit_w - least_w, above, 1e-9)
        steady_w = above * (1 - above / span_w)
        spike_w = self.most_w - self.least_w if self.most_w < self.limit_w else 0.0
        return max(steady_w, spike_w) * min(self.resolved_s, longest_s) / 2


@dataclass(frozen=True, slots=True)
class Counted:
    """Energy of a window by counter.

    Attributes:
        energy_j: the energy.
        edges_j: standard uncertainty of the edges (J).
        clock_j: standard uncertainty of the moment that the counter's values belong to (J).
    """

    energy_j: float
    edges_j: float
    clock_j: float


def counted(
    window: Window, start: Edge, end: Edge, reads: Sequence[Read], powers: Powers, sensor: Sensor
) -> Counted:
    """Divide the counter's difference at the window's edges.

    Args:
        window: the window.
        start, end: the counter at its edges; both have reads.
        reads: of the counter in between.
        powers: what is known of the power around it.
        sensor: facts of the counter.
    """
    assert start.last is not None
    assert end.first is not None
    mean_w = (end.first.energy_j - start.last.energy_j) / max(window.duration_s, 1e-9)
    refresh_s = end.first_period_s or start.period_s or sensor.refresh_s
    lag_s = sensor.counter_lag_s or 0.0
    early_w = _power_after(start, window.started_s, reads, mean_w)
    late_w = _power_before(end, window.ended_s, reads, refresh_s, mean_w)
    before_w = _known(start.between_w, early_w)
    after_w = _known(end.after_w, late_w)
    around = powers.seen((before_w, early_w, late_w, after_w, mean_w))
    first_j, first_half_j = _at_start(
        start, window.started_s + lag_s, before_w, around, refresh_s, mean_w
    )
    last_j, last_half_j = _at_end(
        end, window.ended_s + lag_s, late_w, after_w, around, refresh_s, mean_w
    )
    lag_half_s = LAG_S if sensor.counter_lag_s is None else 0.1 * refresh_s
    return Counted(
        last_j - first_j,
        math.hypot(*first_half_j, *last_half_j) / _ROOT_3,
        lag_half_s * (around.highest_w - around.lowest_w) / _ROOT_3,
    )


def _at_start(
    edge: Edge, at_s: float, before_w: float, powers: Powers, refresh_s: float, mean_w: float
) -> tuple[float, tuple[float, ...]]:
    """The energy at the window's start, and half-widths of what it is off by (J)."""
    assert edge.last is not None
    if not edge.ticks:
        return _between_updates(edge, edge.last, at_s, mean_w, powers, refresh_s)
    tick = edge.ticks[-1]
    lead_s = at_s - tick.time_s
    lead_half_j = (powers.most_w - powers.least_w) / 2 * max(lead_s - tick.half_s, 0.0)
    halves = (lead_half_j, powers.limit_w * tick.half_s / 2, before_w * tick.half_s)
    return tick.energy_j + before_w * lead_s, halves


def _at_end(
    edge: Edge,
    at_s: float,
    late_w: float,
    after_w: float,
    powers: Powers,
    refresh_s: float,
    mean_w: float,
) -> tuple[float, tuple[float, ...]]:
    """The energy at the window's end, and half-widths of what it is off by (J)."""
    assert edge.first is not None
    assert edge.last is not None
    position = next((i for i, tick in enumerate(edge.ticks) if tick.time_s > at_s), None)
    if position is None:
        return _between_updates(edge, edge.last, at_s, mean_w, powers, refresh_s)
    tick = edge.ticks[position]
    below_j = edge.ticks[position - 1].energy_j if position else edge.first.energy_j
    interval = Interval(tick.energy_j - below_j, refresh_s, tick.time_s - at_s, late_w, after_w)
    rest_j, half_j = interval.rest_j(powers.least_w, powers.most_w, _JITTER * refresh_s)
    unseen_j = powers.unseen_j(mean_w, refresh_s)
    return tick.energy_j - rest_j, (half_j, unseen_j, max(late_w, after_w) * tick.half_s)


def _between_updates(
    edge: Edge, read: Read, at_s: float, mean_w: float, powers: Powers, refresh_s: float
) -> tuple[float, tuple[float, ...]]:
    """The energy where no update was seen: the value is up to one refresh old.

    One that was interpolated is off by a quarter of a step between the two reads, at the most.
    """
    age_s = at_s - read.answered_s + refresh_s / 2
    step_half_j = (powers.most_w - powers.least_w) * edge.gap_s / 4
    refresh_half_j = max(mean_w, powers.most_w) * refresh_s / 2
    return read.energy_j + mean_w * age_s, (refresh_half_j, step_half_j)


def _power_after(edge: Edge, at_s: float, reads: Sequence[Read], mean_w: float) -> float:
    """Mean power just after the window's start (W)."""
    tick = edge.ticks[-1] if edge.ticks else None
    later = next((r for r in reads if r.asked_s >= at_s + _LOOK_S), None)
    if tick is None or later is None or later.asked_s <= tick.time_s:
        return mean_w
    return (later.energy_j - tick.energy_j) / (later.asked_s - tick.time_s)


def _power_before(
    edge: Edge, at_s: float, reads: Sequence[Read], refresh_s: float, mean_w: float
) -> float:
    """Mean power just before the window's end (W).

    A value that was read earlier is as old as the update before that read; updates are counted
    back from the one that was seen.
    """
    if not edge.ticks or edge.first is None:
        return mean_w
    tick = edge.ticks[0]
    for read in reversed(reads):
        back = (tick.time_s - read.answered_s) / refresh_s
        # A read close to an update might be of either side.
        if read.asked_s > at_s - _LOOK_S or abs(back - round(back)) < _JITTER:
            continue
        updates = math.ceil(back) - 1
        if updates > 0:
            return (edge.first.energy_j - read.energy_j) / (updates * refresh_s)
    return mean_w


def _known(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
