"""Statistics over cycles: mean, spread, t-interval, and whether two means differ."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from llem_core.results.student import t_quantile, t_survival
from llem_core.results.study import CycleStatistics

CONFIDENCE = 0.95


def summarise(values: Sequence[float]) -> CycleStatistics | None:
    """One quantity of one configuration over its cycles; ``None`` without any value."""
    if not values:
        return None
    mean = statistics.fmean(values)
    if len(values) == 1:
        return CycleStatistics(
            n=1,
            mean=mean,
            standard_deviation=None,
            coefficient_of_variation=None,
            interval_low=None,
            interval_high=None,
        )
    deviation = statistics.stdev(values)
    half = t_quantile(0.5 + CONFIDENCE / 2, len(values) - 1) * deviation / math.sqrt(len(values))
    return CycleStatistics(
        n=len(values),
        mean=mean,
        standard_deviation=deviation,
        coefficient_of_variation=deviation / abs(mean) if mean else None,
        interval_low=mean - half,
        interval_high=mean + half,
    )


def differ(first: CycleStatistics, second: CycleStatistics) -> bool | None:
    """Whether two means differ (Welch's t-test, two-sided, 95 %).

    Returns:
        ``None`` where that cannot be asked: one of them has one cycle only.
    """
    p = welch_p(first, second)
    return None if p is None else p < 1 - CONFIDENCE


def welch_p(first: CycleStatistics, second: CycleStatistics) -> float | None:
    """Two-sided p of Welch's t-test; ``None`` where one of them has one cycle only.

    B. L. Welch, "The generalization of 'Student's' problem when several different population
    variances are involved", Biometrika 34 (1947) 28-35, with Satterthwaite's degrees of
    freedom.
    """
    if first.standard_deviation is None or second.standard_deviation is None:
        return None
    a = first.standard_deviation**2 / first.n
    b = second.standard_deviation**2 / second.n
    difference = abs(first.mean - second.mean)
    if a + b == 0:
        return 1.0 if difference == 0 else 0.0
    freedom = (a + b) ** 2 / (a**2 / (first.n - 1) + b**2 / (second.n - 1))
    return 2 * t_survival(difference / math.sqrt(a + b), freedom)
