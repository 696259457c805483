"""Power curves whose energy is known exactly."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Curve(Protocol):
    """Power over time."""

    def power_w(self, time_s: float) -> float:
        """Power at a moment (W)."""

    def energy_j(self, time_s: float) -> float:
        """Integral of power from 0 to a moment, exactly (J)."""


def lowest_of(curve: Curve) -> float:
    """The lowest power of a curve that knows it (``lowest_w``), else 0 (W)."""
    return float(getattr(curve, "lowest_w", 0.0))


@dataclass(frozen=True)
class Constant:
    """The same power at all times.

    Attributes:
        level_w: the power (W).
    """

    level_w: float

    @property
    def lowest_w(self) -> float:
        """The lowest power that it has (W)."""
        return self.level_w

    def power_w(self, time_s: float) -> float:
        """The power (W)."""
        del time_s
        return self.level_w

    def energy_j(self, time_s: float) -> float:
        """Power × time (J)."""
        return self.level_w * time_s


@dataclass(frozen=True)
class Ramp:
    """From one power to another in a straight line, then again from the first, and so on.

    Attributes:
        from_w, to_w: the two powers (W).
        period_s: time of one rise (s).
    """

    from_w: float
    to_w: float
    period_s: float

    @property
    def lowest_w(self) -> float:
        """The lowest power that it has (W)."""
        return min(self.from_w, self.to_w)

    def power_w(self, time_s: float) -> float:
        """On the line (W)."""
        return self.from_w + (self.to_w - self.from_w) * (time_s % self.period_s) / self.period_s

    def energy_j(self, time_s: float) -> float:
        """Whole rises, and the part of the last one (J)."""
        whole, rest = divmod(time_s, self.period_s)
        rise_j = (self.from_w + self.to_w) / 2 * self.period_s
        return whole * rise_j + (self.from_w + self.power_w(rest)) / 2 * rest


@dataclass(frozen=True)
class Square:
    """High for the first part of each period, low for the rest.

    Attributes:
        low_w, high_w: the two powers (W).
        period_s: length of a period (s).
        duty: share of the period at the high one (0 to 1).
    """

    low_w: float
    high_w: float
    period_s: float
    duty: float = 0.5

    @property
    def lowest_w(self) -> float:
        """The lowest power that it has (W)."""
        return min(self.low_w, self.high_w)

    def power_w(self, time_s: float) -> float:
        """One of the two powers (W)."""
        high = (time_s % self.period_s) < self.period_s * self.duty
        return self.high_w if high else self.low_w

    def energy_j(self, time_s: float) -> float:
        """Whole periods, and the part of the last one (J)."""
        whole, rest = divmod(time_s, self.period_s)
        most_s = self.period_s * self.duty
        high_s = whole * most_s + min(rest, most_s)
        return high_s * self.high_w + (time_s - high_s) * self.low_w


class Steps:
    """Another power from each of several moments on.

    Args:
        steps: (moment (s), power (W)), the first at 0, in order.
    """

    def __init__(self, steps: Sequence[tuple[float, float]]) -> None:
        self._times = [time_s for time_s, _ in steps]
        self._powers = [power_w for _, power_w in steps]
        self._energies = [0.0]
        for position in range(1, len(steps)):
            length_s = self._times[position] - self._times[position - 1]
            self._energies.append(self._energies[-1] + self._powers[position - 1] * length_s)

    @property
    def lowest_w(self) -> float:
        """The lowest power that it has (W)."""
        return min(self._powers)

    def power_w(self, time_s: float) -> float:
        """Power of the last step before the moment (W)."""
        return self._powers[self._position(time_s)]

    def energy_j(self, time_s: float) -> float:
        """Sum over the steps so far (J)."""
        position = self._position(time_s)
        return self._energies[position] + self._powers[position] * (time_s - self._times[position])

    def _position(self, time_s: float) -> int:
        return max(bisect.bisect_right(self._times, time_s) - 1, 0)


@dataclass(frozen=True)
class Repeated:
    """One stretch of a curve over and over.

    Attributes:
        curve: what is repeated, from 0.
        period_s: length of the stretch (s).
    """

    curve: Curve
    period_s: float

    @property
    def lowest_w(self) -> float:
        """The lowest power that it has (W)."""
        return lowest_of(self.curve)

    def power_w(self, time_s: float) -> float:
        """Power at this place of the stretch (W)."""
        return self.curve.power_w(time_s % self.period_s)

    def energy_j(self, time_s: float) -> float:
        """Whole stretches, and the part of the last one (J)."""
        whole, rest = divmod(time_s, self.period_s)
        return whole * self.curve.energy_j(self.period_s) + self.curve.energy_j(rest)


@dataclass(frozen=True)
class Shifted:
    """A curve that begins later or earlier.

    Attributes:
        curve: the curve.
        by_s: how far into it time 0 is (s).
    """

    curve: Curve
    by_s: float

    @property
    def lowest_w(self) -> float:
        """The lowest power that it has (W)."""
        return lowest_of(self.curve)

    def power_w(self, time_s: float) -> float:
        """Power at the shifted moment (W)."""
        return self.curve.power_w(time_s + self.by_s)

    def energy_j(self, time_s: float) -> float:
        """Energy since time 0 (J)."""
        return self.curve.energy_j(time_s + self.by_s) - self.curve.energy_j(self.by_s)


def spiky(base_w: float, peak_w: float, period_s: float, spike_s: float) -> Square:
    """Short spikes on a low base."""
    return Square(base_w, peak_w, period_s, spike_s / period_s)


def generation(
    prefill_s: float = 0.3,
    decode_s: float = 2.0,
    idle_s: float = 0.2,
    prefill_w: float = 650.0,
    decode_w: float = 350.0,
    idle_w: float = 90.0,
) -> Repeated:
    """Prefill, decode and a pause, batch after batch."""
    steps = Steps(((0.0, prefill_w), (prefill_s, decode_w), (prefill_s + decode_s, idle_w)))
    return Repeated(steps, prefill_s + decode_s + idle_s)


class Switched:
    """Two powers that a caller switches between: a load that a probe turns on and off.

    Args:
        low_w, high_w: the two powers (W).
    """

    def __init__(self, low_w: float, high_w: float) -> None:
        self.low_w, self.high_w = low_w, high_w
        self._steps: list[tuple[float, float]] = [(0.0, low_w)]
        self._curve = Steps(self._steps)

    def switch(self, on: bool, time_s: float) -> None:
        """Turn the load on or off at a moment, which is later than all before (s)."""
        self._steps.append((time_s, self.high_w if on else self.low_w))
        self._curve = Steps(self._steps)

    @property
    def lowest_w(self) -> float:
        """The lowest power that it has (W)."""
        return min(self.low_w, self.high_w)

    def power_w(self, time_s: float) -> float:
        """The power that was switched to (W)."""
        return self._curve.power_w(time_s)

    def energy_j(self, time_s: float) -> float:
        """Sum over all switches so far (J)."""
        return self._curve.energy_j(time_s)
