"""Statistics over cycles: mean, spread, t-interval, and whether two means differ."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

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


def t_survival(t: float, freedom: float) -> float:
    """Probability that Student's t exceeds ``t`` ≥ 0, with ``freedom`` degrees of freedom.

    Half the regularised incomplete beta function I_x(ν/2, 1/2) at x = ν / (ν + t²):
    Abramowitz and Stegun, 26.7.1 and 26.5.27.
    """
    return 0.5 * incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def t_quantile(probability: float, freedom: float) -> float:
    """The ``t`` that Student's t stays below with this probability (0.5 or more).

    Bisection on ``t_survival``, which falls steadily; good to about 1e-12 of the value.
    """
    above = 1 - probability
    low, high = 0.0, 1.0
    while t_survival(high, freedom) > above:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if t_survival(middle, freedom) > above:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function I_x(a, b), by its continued fraction.

    Abramowitz and Stegun, 26.5.8, evaluated from the front by Lentz's method (Thompson and
    Barnett, J. Comput. Phys. 64 (1986) 490-509); where it converges slowly,
    I_x(a, b) = 1 − I_{1−x}(b, a).
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return front / (a * _fraction(a, b, x))


def _fraction(a: float, b: float, x: float) -> float:
    """1 + d₁/(1 + d₂/(1 + …)) with the coefficients of 26.5.8."""
    tiny = 1e-300
    value, upper, lower = 1.0, 1.0, 0.0
    for term in range(1, 10_000):
        m, odd = divmod(term, 2)
        if odd:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        upper = 1 + d / upper or tiny
        lower = 1 / (1 + d * lower or tiny)
        value *= upper * lower
        if abs(upper * lower - 1) < 1e-15:
            break
    return value
