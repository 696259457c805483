"""Power that a meter told over time, and the energy of any interval of it.

For meters that are read by others, answer late, sample once a second, or have a clock of their own:
what they told is kept, and an interval is asked for when all of it is known.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from llem_core.contracts.sampler import (
    DomainReading,
    EnergyReading,
    PowerSample,
    UncertaintyComponent,
)
from llem_core.meters.budget import GPU_GAIN_HALF_WIDTH, clock_rate, edges, gain

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class IntervalEnergy:
    """Energy of an interval, or why there is none.

    Attributes:
        energy_j: joules.
        reason: why it is ``None``.
        terms: its uncertainty, without the meter's gain.
    """

    energy_j: float | None
    reason: str | None = None
    terms: tuple[UncertaintyComponent, ...] = ()


class PowerHistory:
    """Instantaneous power of one domain, oldest first.

    Args:
        clock_offset_s: what the meter's clock shows less ``time.monotonic()`` (s).
        clock_offset_half_width_s: the true offset lies within ± this of it (s).

    Example::

        history = PowerHistory(clock_offset_s=100.0)
        for second in range(11):
            history.add(100.0 + second, 50.0)
        assert history.energy(2.5, 7.5).energy_j == 250.0
        assert history.energy(5.0, 12.0).energy_j is None  # not known yet
    """

    def __init__(self, clock_offset_s: float = 0.0, clock_offset_half_width_s: float = 0.0) -> None:
        self._offset_s = clock_offset_s
        self._offset_half_width_s = clock_offset_half_width_s
        self._points: list[Point] = []

    def add(self, time_s: float, power_w: float) -> None:
        """Keep a value.

        Args:
            time_s: when it was measured, by the meter's own clock. Values may come out of order.
            power_w: power (W).
        """
        bisect.insort(self._points, (time_s - self._offset_s, power_w))

    def samples(self, domain: str, started_s: float, ended_s: float) -> tuple[PowerSample, ...]:
        """The values of an interval as rows of the time series, by ``time.monotonic()``."""
        inside = self._between(started_s, ended_s)
        return tuple(PowerSample(time_s, domain, power_w) for time_s, power_w in inside)

    def energy(self, started_s: float, ended_s: float) -> IntervalEnergy:
        """Energy between two monotonic times, by the trapezoid rule (J).

        Terms: ``edges``, a step anywhere between the two values beside an edge; ``sampling``, the
        scatter of successive values; ``clock_offset``, the interval shifted by the offset's error;
        ``clock``, the rate of the clock.
        """
        points = self._points
        if not points or points[0][0] > started_s:
            return IntervalEnergy(None, "the meter has no value from before the interval")
        if points[-1][0] < ended_s:
            return IntervalEnergy(
                None,
                f"the meter's last value is {ended_s - points[-1][0]:.3g} s older than the "
                "interval's end: it is not known yet",
            )
        edge_points = [self._at(started_s), self._at(ended_s)]
        inner = self._between(started_s, ended_s)
        line = [(started_s, edge_points[0][0]), *inner, (ended_s, edge_points[1][0])]
        steps = list(itertools.pairwise(line))
        energy_j = math.fsum((t1 - t0) * (p0 + p1) / 2 for (t0, p0), (t1, p1) in steps)
        scatter_j2 = math.fsum(((t1 - t0) * (p1 - p0)) ** 2 / 2 for (t0, p0), (t1, p1) in steps)
        powers_w = [power_w for _, power_w in line]
        shift_j = self._offset_half_width_s * (max(powers_w) - min(powers_w)) / math.sqrt(3)
        return IntervalEnergy(
            energy_j,
            terms=(
                edges(math.hypot(*(half_j for _, half_j in edge_points)) / math.sqrt(3)),
                UncertaintyComponent("sampling", math.sqrt(scatter_j2), growth="root"),
                UncertaintyComponent("clock_offset", shift_j, common_to_devices=True),
                clock_rate(energy_j),
            ),
        )

    def _between(self, started_s: float, ended_s: float) -> list[Point]:
        first = bisect.bisect_right(self._points, (started_s, math.inf))
        return self._points[first : bisect.bisect_left(self._points, (ended_s, -math.inf))]

    def _at(self, time_s: float) -> Point:
        """Power at a moment (W), and the half-width of the energy beside it (J)."""
        after = bisect.bisect_left(self._points, (time_s, -math.inf))
        before_s, before_w = self._points[max(after - 1, 0)]
        after_s, after_w = self._points[after]
        length_s = after_s - before_s
        share = (time_s - before_s) / length_s if length_s > 0 else 1.0
        half_j = abs(after_w - before_w) * length_s * share * (1 - share)
        return before_w + (after_w - before_w) * share, half_j


def part_of(reading: EnergyReading, started_s: float, ended_s: float) -> EnergyReading:
    """The energy of an interval within a window, from the window's own power samples.

    For samplers that measure windows alone. What the samples cannot tell is ``None`` with a reason.

    Args:
        reading: of a window that holds the interval, with samples.
        started_s, ended_s: the interval (monotonic s).
    """
    domains = tuple(
        _part(domain, reading.samples, started_s, ended_s) for domain in reading.domains
    )
    samples = tuple(s for s in reading.samples if started_s <= s.time_s <= ended_s)
    return replace(reading, started_s=started_s, ended_s=ended_s, domains=domains, samples=samples)


def _part(
    domain: DomainReading, samples: Iterable[PowerSample], started_s: float, ended_s: float
) -> DomainReading:
    history = PowerHistory()
    for sample in samples:
        if sample.domain == domain.name and sample.power_w is not None:
            history.add(sample.time_s, sample.power_w)
    found = history.energy(started_s, ended_s)
    estimated = domain.method == "estimated"
    terms: tuple[UncertaintyComponent, ...] = ()
    if found.energy_j is not None and not estimated:
        own = [t for t in domain.uncertainty if t.scales_with_energy]
        share = found.energy_j / domain.energy_j if domain.energy_j else 0.0
        known = tuple(replace(t, standard_j=t.standard_j * share) for t in own)
        terms = (*found.terms, *(known or (gain(found.energy_j, GPU_GAIN_HALF_WIDTH),)))
    return replace(
        domain,
        energy_j=found.energy_j,
        method="estimated" if estimated else "integrated",
        reason=found.reason and f"its power samples do not tell: {found.reason}",
        resolution_j=None,
        uncertainty=terms,
        cross_check_j=None,
        cross_check_method=None,
    )
