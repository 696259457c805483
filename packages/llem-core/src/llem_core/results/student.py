"""Student's t-distribution: how far a mean of few values may be off by chance."""

from __future__ import annotations

import math


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
