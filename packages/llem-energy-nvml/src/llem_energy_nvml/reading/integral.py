"""Energy from power samples: the cross-check of a counter, or the record of a card without one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.contracts import PowerSample

from llem_energy_nvml.reading.account import Window
from llem_energy_nvml.sensor import Sensor

_ROOT_3 = math.sqrt(3)


@dataclass(frozen=True, slots=True)
class Integral:
    """Energy of a window from power samples.

    Attributes:
        energy_j: the energy.
        sampling_j: standard uncertainty of what lies between samples.
        averaging_j: of the power field's age and averaging at the edges.
        unseen_j: of the time that the power field does not look at.
        longest_gap_s: longest time without a sample.
    """

    energy_j: float
    sampling_j: float
    averaging_j: float
    unseen_j: float
    longest_gap_s: float


def integrate(
    samples: Sequence[PowerSample], window: Window, sensor: Sensor, limit_w: float
) -> Integral | None:
    """Integrate by the trapezoid rule, and make up for the age of the values at the edges.

    A value is a mean that ended up to one update ago; on average it is as old as ``age_s``. The
    plain integral is that of a window earlier by as much; what lies between the two windows is
    ``age × power`` at either edge. Outer values are held to the edges.

    Where the field looks at part of the time, a load in step with it may draw anything in the rest,
    from nothing to what the board can draw, and no sample would tell.

    Returns:
        ``None`` with fewer than two samples in the window.
    """
    points = [(s.time_s, s.power_w) for s in samples if s.power_w is not None]
    inner = [p for p in points if window.started_s <= p[0] <= window.ended_s]
    if len(inner) < 2:
        return None
    held = [(window.started_s, inner[0][1]), *inner, (window.ended_s, inner[-1][1])]
    plain_j = math.fsum(
        (t1 - t0) * (p0 + p1) / 2 for (t0, p0), (t1, p1) in itertools.pairwise(held)
    )
    age_s = (sensor.update_s + sensor.window_s) / 2 + (sensor.lag_s or 0.0)
    shift_j = age_s * (inner[-1][1] - inner[0][1])
    # Successive differences: the scatter of the samples without their slow course.
    scatter_j2 = math.fsum(
        ((t1 - t0) * (p1 - p0)) ** 2 / 2 for (t0, p0), (t1, p1) in itertools.pairwise(inner)
    )
    levels = [p for _, p in points]
    range_w = max(levels) - min(levels)
    if window.duration_s < 2 * sensor.window_s:  # too short for the average to show the range
        range_w = max(range_w, limit_w - min(levels))
    mean_w = plain_j / window.duration_s
    most_w = max(limit_w, mean_w)
    unseen_s = window.duration_s * (1 - sensor.time_share)
    age_half_s = age_s + (window.duration_s / len(inner)) / 2
    energy_j = plain_j + shift_j
    return Integral(
        energy_j,
        math.sqrt(scatter_j2),
        range_w * age_half_s / _ROOT_3,
        # Uniform between 0 and the limit; its mean square about the mean that was seen.
        unseen_s * math.hypot(most_w / 2 / _ROOT_3, most_w / 2 - mean_w),
        max(t1 - t0 for (t0, _), (t1, _) in itertools.pairwise(held)),
    )
