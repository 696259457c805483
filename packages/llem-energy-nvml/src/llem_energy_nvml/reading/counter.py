"""Reads of an energy counter, and how its energy is divided at a moment between two updates.

The counter is refreshed every 20 to 100 ms. Where a window's edge falls between two updates, the
energy of that interval is known, and so is the mean power before and after it: a step from one to
the other somewhere within explains the energy, and says which part of it lies behind the edge.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Read:
    """One read of a counter.

    Attributes:
        asked_s, answered_s: when the call began and returned (monotonic s).
        energy_j: what it gave.
    """

    asked_s: float
    answered_s: float
    energy_j: float


@dataclass(frozen=True, slots=True)
class Tick:
    """An update of the counter that was seen.

    Attributes:
        time_s: the middle of the time in which it happened (monotonic s).
        half_s: half of that time (s).
        energy_j: the counter from then on.
    """

    time_s: float
    half_s: float
    energy_j: float


def tick_between(before: Read, after: Read) -> Tick | None:
    """The update between two reads that follow each other; ``None`` without one."""
    if after.energy_j == before.energy_j:
        return None
    half_s = (after.answered_s - before.asked_s) / 2
    return Tick(before.asked_s + half_s, half_s, after.energy_j)


@dataclass(frozen=True, slots=True)
class Interval:
    """The time between two updates, in which a moment lies.

    Attributes:
        energy_j: energy of the whole interval.
        duration_s: its length.
        rest_s: time from the moment to its end.
        before_w, after_w: mean power before and after the interval.
    """

    energy_j: float
    duration_s: float
    rest_s: float
    before_w: float
    after_w: float

    def rest_j(self, least_w: float, most_w: float, slack_s: float) -> tuple[float, float]:
        """Energy from the moment to the interval's end, and the half-width of its bounds (J).

        Args:
            least_w, most_w: bounds of the power.
            slack_s: what the interval's length may be off by.
        """
        rest_s = min(max(self.rest_s, 0.0), self.duration_s)
        head_s = self.duration_s - rest_s
        guess_j = self._guess_j(head_s, rest_s)
        low_j, high_j = least_w * rest_s, most_w * rest_s
        by_head = (
            self.energy_j - most_w * (head_s + slack_s),
            self.energy_j - least_w * max(head_s - slack_s, 0.0),
        )
        if max(low_j, by_head[0]) <= min(high_j, by_head[1]):
            low_j, high_j = max(low_j, by_head[0]), min(high_j, by_head[1])
        return min(max(guess_j, low_j), high_j), (high_j - low_j) / 2

    def _guess_j(self, head_s: float, rest_s: float) -> float:
        step_w = self.before_w - self.after_w
        surplus_j = self.energy_j - self.before_w * head_s - self.after_w * rest_s
        # One step explains a surplus: it came after the moment; or a deficit: it came before.
        own_j = 0.0
        if surplus_j * step_w > 0:
            own_j = _towards(surplus_j, abs(step_w) * rest_s)
            surplus_j -= own_j
        else:
            surplus_j -= _towards(surplus_j, abs(step_w) * head_s)
        share = rest_s / self.duration_s if self.duration_s > 0 else 0.0
        return self.after_w * rest_s + own_j + surplus_j * share


def _towards(value: float, most: float) -> float:
    return max(-most, min(most, value))
