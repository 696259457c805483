"""Fits of the probe: a sensor's answer to a step, and where two lines meet."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

_LONGEST_S = 1.6
_FINEST_S = 0.001
_FEWEST = 3

Point = tuple[float, float]


def fit_response(points: Sequence[Point]) -> tuple[float, float] | None:
    """Averaging window and lag of a trailing mean that answers a unit step at 0.

    Least squares of ``clip((t - lag) / window, 0, 1)``, on a grid that is refined three times.

    Args:
        points: time since the step (s) and share of the step that the value shows.

    Returns:
        Window and lag (s); ``None`` with too few points.
    """
    if len(points) < _FEWEST:
        return None
    window = lag = _LONGEST_S / 2
    reach = _LONGEST_S / 2
    while reach > _FINEST_S / 2:
        steps = [reach * k / 8 for k in range(-8, 9)]
        _, window, lag = min(
            (_misfit(points, w, g), w, g)
            for w in {max(window + step, _FINEST_S) for step in steps}
            for g in {max(lag + step, 0.0) for step in steps}
        )
        reach /= 2
    return window, lag


def _misfit(points: Sequence[Point], window_s: float, lag_s: float) -> float:
    return math.fsum(
        (share - min(max((time_s - lag_s) / window_s, 0.0), 1.0)) ** 2 for time_s, share in points
    )


def meeting_point_s(before: Sequence[Point], after: Sequence[Point]) -> float | None:
    """Where the lines through two sets of points meet; ``None`` if there are none."""
    first, second = _line(before), _line(after)
    if first is None or second is None or second[0] <= first[0]:
        return None
    return (first[1] - second[1]) / (second[0] - first[0])


def _line(points: Sequence[Point]) -> Point | None:
    """Slope and height at 0 of the least-squares line."""
    if len(points) < _FEWEST:
        return None
    line = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    return line.slope, line.intercept
