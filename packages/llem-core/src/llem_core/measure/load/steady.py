"""Whether a window was steady: its halves compared, and a test for a trend."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from llem_core.results.load import SeriesEvidence, SteadyEvidence

_FEWEST_POINTS = 6
_MOST_POINTS = 60
DRIFT = 0.05
"""Difference of the halves' means, over their mean, that is no drift."""
_P = 0.05
_BACKLOG_SHARE = 0.1
_BACKLOG_LEAST = 4


def n_points(duration_s: float) -> int:
    """Into how many equal parts a window is divided: a second each, 6 to 60."""
    return max(_FEWEST_POINTS, min(_MOST_POINTS, int(duration_s)))


def evidence(
    in_flight: Sequence[float], tokens_per_second: Sequence[float], point_s: float
) -> SteadyEvidence:
    """Judge a window.

    A series has drifted if the means of its halves differ by more than 5 % and the Mann-Kendall
    test finds a trend at 5 %: noise alone gives the one without the other. A difference of more
    than 25 % is never called steady.

    Args:
        in_flight, tokens_per_second: of equal parts of the window, in order.
        point_s: length of one (s).
    """
    first, second = (_judge(series) for series in (in_flight, tokens_per_second))
    return SteadyEvidence(
        steady=first.steady and second.steady,
        n_points=len(in_flight),
        point_s=point_s,
        requests_in_flight=first,
        output_tokens_per_second=second,
    )


def backlog_grew(growth: int, n_due: int) -> bool:
    """Whether a backlog grew by more than chance explains.

    Args:
        growth: requests that were due and not over, at a window's end less at its beginning.
        n_due: requests that were due in it.
    """
    return growth >= max(_BACKLOG_LEAST, _BACKLOG_SHARE * n_due)


def mean_by_third(series: Sequence[float]) -> tuple[float, float, float]:
    """Means of the first, the second and the last third of three values or more."""
    third = len(series) // 3
    first, second, last = (statistics.fmean(series[i * third :][:third]) for i in range(3))
    return first, second, last


def _judge(series: Sequence[float]) -> SeriesEvidence:
    half = len(series) // 2
    first, second = statistics.fmean(series[:half]), statistics.fmean(series[-half:])
    mean = (first + second) / 2
    difference = (second - first) / mean if mean else None
    p = mann_kendall_p(series)
    drift = abs(difference or 0.0)
    drifted = drift > DRIFT and p is not None and p < _P
    return SeriesEvidence(
        first_half_mean=first,
        second_half_mean=second,
        difference=difference,
        trend_p=p,
        steady=not drifted and drift <= 5 * DRIFT,
    )


def mann_kendall_p(series: Sequence[float]) -> float | None:
    """Two-sided p of the test for a monotonic trend; ``None`` for less than four points.

    Mann, "Nonparametric tests against trend", Econometrica 13 (1945) 245-259, with the variance
    corrected for ties (Kendall, "Rank Correlation Methods", 1970) and the normal approximation
    with its continuity correction. Points that depend on their predecessors make it find trends too
    often, so that it is never asked alone.
    """
    n = len(series)
    if n < 4:
        return None
    score = sum(
        (later > earlier) - (later < earlier)
        for i, earlier in enumerate(series)
        for later in series[i + 1 :]
    )
    ties = [series.count(value) for value in set(series)]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if variance <= 0:
        return 1.0
    z = max(abs(score) - 1, 0) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))
