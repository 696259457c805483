"""Divides the energy of a window among the requests that were served in it."""

from __future__ import annotations

import bisect
import statistics
from collections import defaultdict

from llem_core.contracts.sampler import EnergyReading
from llem_core.measure.energy.totals import RecordedEnergy
from llem_core.measure.load.observed import Interval, ObservedLoad

HOW = (
    "an attribution, no measurement: the energy of each second of the window, divided among the "
    "output tokens that arrived in it"
)


def attributed_j(
    observed: ObservedLoad,
    window: Interval,
    energy: RecordedEnergy | None,
    reading: EnergyReading | None,
) -> list[float | None]:
    """Energy of each request by its share of the tokens of each second (J), by its number.

    A second's energy is the window's, by its share of the sum of power samples, or by its length
    where there are none. Seconds without a token are nobody's, so that the sum is at most the
    window's energy.
    """
    if energy is None or energy.total_j is None or window.duration_s <= 0:
        return [None] * len(observed.flights)
    points = observed.points(window, max(1, round(window.duration_s)))
    weights = _weights(points[0].duration_s, len(points), window, energy, reading)
    per_token_j = [
        energy.total_j * weight / point.output_tokens if point.output_tokens else 0.0
        for weight, point in zip(weights, points, strict=True)
    ]
    starts = [point.time_s for point in points]
    return [
        sum(
            per_token_j[bisect.bisect_right(starts, time_s) - 1]
            for time_s in tokens.times_s
            if time_s in window
        )
        for tokens in observed.tokens
    ]


def _weights(
    step_s: float,
    n: int,
    window: Interval,
    energy: RecordedEnergy,
    reading: EnergyReading | None,
) -> list[float]:
    used = {domain.name for domain in energy.used}
    by_step: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for sample in reading.samples if reading is not None else ():
        if sample.domain in used and sample.power_w is not None and sample.time_s in window:
            step = min(int((sample.time_s - window.started_s) / step_s), n - 1)
            by_step[step][sample.domain].append(sample.power_w)
    if len(by_step) < n:
        return [1 / n] * n
    powers_w = [sum(statistics.fmean(v) for v in by_step[i].values()) for i in range(n)]
    total_w = sum(powers_w)
    return [power_w / total_w for power_w in powers_w] if total_w > 0 else [1 / n] * n
