"""Power curves whose energy is known exactly; ``PowerScript`` of the core's kit is another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Curve(Protocol):
    """Power over time."""

    def power_w(self, time_s: float) -> float:
        """Power at a moment (W)."""

    def energy_j(self, started_s: float, ended_s: float) -> float:
        """Energy between two moments, exactly (J)."""


@dataclass(frozen=True)
class Square:
    """High for the first part of each period, low for the rest.

    Attributes:
        low_w, high_w: the two powers (W).
        period_s: length of a period (s).
        duty: share of the period at the high one.
    """

    low_w: float
    high_w: float
    period_s: float
    duty: float = 0.5

    def power_w(self, time_s: float) -> float:
        """One of the two powers (W)."""
        return self.high_w if time_s % self.period_s < self.period_s * self.duty else self.low_w

    def energy_j(self, started_s: float, ended_s: float) -> float:
        """Whole periods, and the parts of them (J)."""
        return self._until_j(ended_s) - self._until_j(started_s)

    def _until_j(self, time_s: float) -> float:
        whole, rest = divmod(time_s, self.period_s)
        most_s = self.period_s * self.duty
        high_s = whole * most_s + min(rest, most_s)
        return high_s * self.high_w + (time_s - high_s) * self.low_w


@dataclass(frozen=True)
class Ramps:
    """From one power to another in a straight line, again and again.

    Attributes:
        from_w, to_w: the two powers (W).
        period_s: time of one rise (s).
    """

    from_w: float
    to_w: float
    period_s: float

    def power_w(self, time_s: float) -> float:
        """On the line (W)."""
        return self.from_w + (self.to_w - self.from_w) * (time_s % self.period_s) / self.period_s

    def energy_j(self, started_s: float, ended_s: float) -> float:
        """Whole rises, and the parts of them (J)."""
        return self._until_j(ended_s) - self._until_j(started_s)

    def _until_j(self, time_s: float) -> float:
        whole, rest = divmod(time_s, self.period_s)
        rise_j = (self.from_w + self.to_w) / 2 * self.period_s
        return whole * rise_j + (self.from_w + self.power_w(rest)) / 2 * rest
