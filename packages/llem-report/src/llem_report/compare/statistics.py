"""The difference of two sets of runs, as a logarithm of their ratio, and what chance makes of it.

Logarithms, because a difference is asked for in per cent: the interval of a ratio is then the
interval of a difference, and a change by a factor is the same in both directions.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llem_core.results.student import t_quantile, t_survival

Method = Literal["paired", "paired by node", "Welch", "one against several", "meter"]


@dataclass(frozen=True, slots=True)
class Difference:
    """An estimate of ln(after / before).

    Attributes:
        method: how it was come by.
        log_ratio: the estimate.
        standard_error: its standard error.
        freedom: degrees of freedom of Student's t; infinite for the meter's own uncertainty.
        n: pairs, or runs of both sides.
    """

    method: Method
    log_ratio: float
    standard_error: float
    freedom: float
    n: int

    def interval_percent(self, confidence: float) -> tuple[float, float]:
        """Two-sided interval of the difference (%)."""
        half = _quantile(0.5 + confidence / 2, self.freedom) * self.standard_error
        return to_percent(self.log_ratio - half), to_percent(self.log_ratio + half)

    def p_above(self, log_limit: float) -> float:
        """One-sided p of the null hypothesis that the true value is at most ``log_limit``."""
        return self._survival(self.log_ratio - log_limit)

    def p_below(self, log_limit: float) -> float:
        """One-sided p of the null hypothesis that the true value is at least ``log_limit``."""
        return self._survival(log_limit - self.log_ratio)

    def p_zero(self) -> float:
        """Two-sided p of the null hypothesis that there is no difference."""
        return min(1.0, 2 * self._survival(abs(self.log_ratio)))

    def _survival(self, distance: float) -> float:
        if self.standard_error == 0:  # no scatter at all, such as of a memory's size
            return 0.0 if distance > 0 else 1.0
        t = distance / self.standard_error
        upper = _survival(abs(t), self.freedom)
        return upper if t >= 0 else 1 - upper


def paired(pairs: Sequence[tuple[float, float]], method: Method = "paired") -> Difference | None:
    """Of pairs (before, after) that share what disturbs both; ``None`` with less than two."""
    if len(pairs) < 2:
        return None
    logs = [math.log(after / before) for before, after in pairs]
    error = statistics.stdev(logs) / math.sqrt(len(logs))
    return Difference(method, statistics.fmean(logs), error, len(logs) - 1, len(logs))


def unpaired(before: Sequence[float], after: Sequence[float]) -> Difference | None:
    """Welch's t where both sides have a scatter; one run against it where only one side has.

    ``None`` where neither has.
    """
    logs = [[math.log(value) for value in side] for side in (before, after)]
    if not all(logs) or max(map(len, logs)) < 2:
        return None
    ratio = statistics.fmean(logs[1]) - statistics.fmean(logs[0])
    n = len(before) + len(after)
    if min(map(len, logs)) == 1:
        several = max(logs, key=len)
        error = statistics.stdev(several) * math.sqrt(1 + 1 / len(several))
        return Difference("one against several", ratio, error, len(several) - 1, n)
    shares = [statistics.variance(side) / len(side) for side in logs]
    total = sum(shares)
    if total == 0:
        return Difference("Welch", ratio, 0.0, n - 2, n)
    freedom = total**2 / sum(
        share**2 / (len(side) - 1) for share, side in zip(shares, logs, strict=True)
    )
    return Difference("Welch", ratio, math.sqrt(total), freedom, n)


def by_meter(before: float, after: float, relative: Sequence[float]) -> Difference:
    """Of one run on each side, with the meter's relative standard uncertainty of each."""
    error = math.hypot(*relative)
    return Difference("meter", math.log(after / before), error, math.inf, 2)


def holm(p_values: Sequence[float | None], alpha: float) -> list[bool]:
    """Which null hypotheses fall, so that one falls wrongly with at most ``alpha`` in all.

    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scand. J. Statist. 6
    (1979) 65-70. ``None`` is a hypothesis that was not tested.
    """
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    fallen = [False] * len(p_values)
    for place, (p, i) in enumerate(tested):
        if p > alpha / (len(tested) - place):
            break
        fallen[i] = True
    return fallen


def to_percent(log_ratio: float) -> float:
    """A logarithm of a ratio as a difference (%)."""
    return 100 * math.expm1(log_ratio)


def _survival(t: float, freedom: float) -> float:
    return 0.5 * math.erfc(t / math.sqrt(2)) if math.isinf(freedom) else t_survival(t, freedom)


def _quantile(probability: float, freedom: float) -> float:
    if math.isinf(freedom):
        return statistics.NormalDist().inv_cdf(probability)
    return t_quantile(probability, freedom)
