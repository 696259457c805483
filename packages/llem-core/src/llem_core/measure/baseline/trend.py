"""Whether idle power has a trend: a device that cools draws less and less."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from llem_core.results.student import t_quantile

FEWEST_PARTS = 3
TREND_SHARE = 0.02
"""A change of idle power from start to end that matters, as a share of it."""


def slope(values: Sequence[float]) -> float:
    """Slope of the least-squares line through equally spaced values, a step of 1 apart."""
    return statistics.linear_regression(range(len(values)), values).slope


def trend_w(powers_w: Sequence[float]) -> float | None:
    """Change of power from the first part to the last (W), by a straight line.

    ``None`` where it is small, or may be one of chance (95 %, two-sided).
    """
    if len(powers_w) < FEWEST_PARTS:
        return None
    change_w = slope(powers_w) * (len(powers_w) - 1)
    if abs(change_w) <= TREND_SHARE * statistics.fmean(powers_w) or not _significant(powers_w):
        return None
    return change_w


def is_cooling(powers_w: Sequence[float]) -> bool:
    """Whether power falls from part to part."""
    change_w = trend_w(powers_w)
    return change_w is not None and change_w < 0


def _significant(values: Sequence[float]) -> bool:
    line = statistics.linear_regression(range(len(values)), values)
    rest = math.fsum((v - line.intercept - line.slope * i) ** 2 for i, v in enumerate(values))
    spread = (len(values) - 1) * statistics.variance(range(len(values)))
    freedom = len(values) - 2
    return abs(line.slope) > t_quantile(0.975, freedom) * math.sqrt(rest / freedom / spread)
