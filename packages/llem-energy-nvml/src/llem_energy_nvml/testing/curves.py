"""Power curves whose energy is known exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class Curve(Protocol):
    """Power over time."""

    def power_w(self, time_s: float) -> float:
        """Power at a moment (W)."""

    def energy_j(self, time_s: float) -> float:
        """Integral of power from 0 to a moment, exactly (J)."""


@dataclass(frozen=True)
class Constant:
    """The same power at all times.

    Attributes:
        level_w: the power (W).
    """

    level_w: float

    def power_w(self, time_s: float) -> float:
        """The power (W)."""
        del time_s
        return self.level_w

    def energy_j(self, time_s: float) -> float:
        """Power × time (J)."""
        return self.level_w * time_s


@dataclass(frozen=True)
class Square:
    """High for the first half of each period, low for the second.

    Attributes:
        low_w, high_w: the two powers (W).
        period_s: length of a period (s).
    """

    low_w: float
    high_w: float
    period_s: float

    def power_w(self, time_s: float) -> float:
        """One of the two powers (W)."""
        return self.high_w if (time_s % self.period_s) < self.period_s / 2 else self.low_w

    def energy_j(self, time_s: float) -> float:
        """Whole periods, and the part of the last one (J)."""
        whole, rest = divmod(time_s, self.period_s)
        high_s = whole * self.period_s / 2 + min(rest, self.period_s / 2)
        return high_s * self.high_w + (time_s - high_s) * self.low_w


@dataclass(frozen=True)
class Steps:
    """Another power from each of several moments on.

    Attributes:
        steps: (moment (s), power (W)), the first at 0, in order.
    """

    steps: tuple[tuple[float, float], ...]

    def power_w(self, time_s: float) -> float:
        """Power of the last step before the moment (W)."""
        return next(p for t, p in reversed(self.steps) if t <= max(time_s, 0.0))

    def energy_j(self, time_s: float) -> float:
        """Sum over the steps so far (J)."""
        ends = [t for t, _ in self.steps[1:]] + [math.inf]
        return sum(
            p * max(0.0, min(time_s, end) - t) for (t, p), end in zip(self.steps, ends, strict=True)
        )
