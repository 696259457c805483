"""Energy of an interval from the updates of a counter, and how far it can be off.

The counter is known at its updates alone. An edge of the interval falls between two of them: the
energy between these is known, and so are bounds of the power; both together leave a range for the
part on either side of the edge.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from llem_core.contracts import UncertaintyComponent
from llem_core.meters import GPU_GAIN_HALF_WIDTH, edges, gain, quantisation

from llem_energy_dcgm.track import Update

REFRESH_S = 0.1
"""The driver itself renews the counter each 100 ms at the slowest (arXiv 2312.02741): when DCGM
reads it, it is as old as that."""
STEP_J = 0.001
MOST_W = 10_000.0
"""No card draws as much; one whose limit is told, no more than twice that."""
_BEYOND = 0.1
"""By this share of the range of power that was seen, it may lie beyond it where it was not."""
_ROOT_3 = math.sqrt(3)


@dataclass(frozen=True, slots=True)
class Lag:
    """How long after its moment a number is shown.

    Attributes:
        time_s: the middle of what it can be (s).
        half_s: it lies within ± this of it (s). Many lie at one end, so it is taken as the
            standard uncertainty too, and not as that of a uniform distribution.
    """

    time_s: float
    half_s: float


def lag_of(known_s: float | None, period_s: float) -> Lag:
    """The lag that is known, or any from none to one update.

    Exporters of version 3 copy what DCGM has read at times of their own, those of version 4 when
    they are asked.
    """
    low_s, high_s = (0.0, period_s) if known_s is None else (known_s, known_s)
    return Lag((low_s + high_s + REFRESH_S) / 2, (high_s - low_s + REFRESH_S) / 2)


@dataclass(frozen=True, slots=True)
class Powers:
    """Bounds of the power (W)."""

    least_w: float
    most_w: float

    @classmethod
    def of(cls, seen_w: Sequence[float]) -> Powers:
        """Bounds from what was seen of it, by means between updates and by single values."""
        low_w, high_w = min(seen_w), max(seen_w)
        beyond_w = _BEYOND * (high_w - low_w)
        return cls(max(0.0, low_w - beyond_w), high_w + beyond_w)


@dataclass(frozen=True, slots=True)
class Counted:
    """Energy of an interval, or why there is none.

    Attributes:
        energy_j: joules.
        reason: why it is ``None``.
        terms: its uncertainty.
        early: whether it is only not known yet.
    """

    energy_j: float | None
    reason: str | None = None
    terms: tuple[UncertaintyComponent, ...] = ()
    early: bool = False


@dataclass(frozen=True, slots=True)
class _Edge:
    """The counter at a moment (J), and standard uncertainties of it (J)."""

    energy_j: float
    within_j: float
    time_j: float


def counted(
    updates: Sequence[Update],
    started_s: float,
    ended_s: float,
    lag: Lag,
    powers_w: Sequence[float],
    limit_w: float | None = None,
) -> Counted:
    """The energy between two moments.

    Args:
        updates: of the counter, oldest first.
        started_s, ended_s: the interval (monotonic s).
        lag: between a moment and the counter's number for it.
        powers_w: single values of the power that were seen (W).
        limit_w: what the card may draw at the most.
    """
    first_s, last_s = started_s + lag.time_s, ended_s + lag.time_s
    times = [update.time_s for update in updates]
    first, last = bisect.bisect_right(times, first_s), bisect.bisect_right(times, last_s)
    if first == 0 and times:
        return Counted(None, "its counter was not seen to change before the interval began")
    # The lag may be longer than its middle: that far beyond the edge has to be known.
    if not times or times[-1] <= last_s + lag.half_s:
        return Counted(None, early=True)
    mine = updates[first - 1 : last + 1]
    fault = _fault(mine, limit_w)
    if fault is not None:
        return Counted(None, fault)
    means_w = [_mean_w(before, after) for before, after in pairwise(updates)]
    # A fall or a jump elsewhere is no power.
    sane_w = [w for w in means_w if 0 <= w <= _most_w(limit_w)]
    powers = Powers.of([*sane_w, *powers_w])
    local_w = _Local(means_w)
    if first == last:
        only = _within(mine[0], mine[1], first_s, last_s, powers)
        energy_j, within_j, time_j = only.energy_j, only.within_j, only.time_j
    else:
        start = _within(mine[0], mine[1], mine[0].time_s, first_s, powers)
        end = _within(mine[-2], mine[-1], mine[-2].time_s, last_s, powers)
        whole_j = mine[-2].energy_j - mine[0].energy_j
        energy_j = whole_j + end.energy_j - start.energy_j
        # Work that begins and ends with the interval is misjudged at both edges alike.
        within_j = start.within_j + end.within_j
        time_j = math.hypot(start.time_j, end.time_j)
    shift_j = lag.half_s * local_w.difference_w(first, last, lag.half_s, mine)
    return Counted(
        energy_j,
        terms=(
            edges(math.hypot(within_j, time_j)),
            UncertaintyComponent("lag", shift_j, common_to_devices=True),
            quantisation(STEP_J),
            gain(energy_j, GPU_GAIN_HALF_WIDTH),
        ),
    )


def _within(before: Update, after: Update, from_s: float, to_s: float, powers: Powers) -> _Edge:
    """Energy of a part of the time between two updates.

    Its mean power is the first guess; what the bounds of the power leave is taken as uniform.
    """
    whole_j = after.energy_j - before.energy_j
    whole_s = after.time_s - before.time_s
    part_s = to_s - from_s
    rest_s = whole_s - part_s
    guess_j = whole_j * part_s / whole_s
    low_j = max(powers.least_w * part_s, whole_j - powers.most_w * rest_s)
    high_j = min(powers.most_w * part_s, whole_j - powers.least_w * rest_s)
    if low_j > high_j:  # by what the moments of the updates are off
        low_j = high_j = guess_j
    guess_j = min(max(guess_j, low_j), high_j)
    spread_j = math.hypot((high_j - low_j) / math.sqrt(12), guess_j - (low_j + high_j) / 2)
    # An update that came earlier or later moves energy of the power at that moment.
    near_w = min(powers.most_w, max(whole_j / whole_s, powers.least_w))
    time_j = near_w * math.hypot(before.half_s, after.half_s) / _ROOT_3
    return _Edge(guess_j, spread_j, time_j)


@dataclass(frozen=True, slots=True)
class _Local:
    """Mean powers between updates (W)."""

    means_w: Sequence[float]

    def difference_w(self, first: int, last: int, half_s: float, mine: Sequence[Update]) -> float:
        """The most by which the power at the end may differ from that at the start.

        Each edge is looked at with as many updates around it as the lag may shift it by.
        """
        length_s = (mine[-1].time_s - mine[0].time_s) / (len(mine) - 1)
        reach = math.ceil(half_s / length_s)
        early, late = (
            self.means_w[max(0, place - 1 - reach) : place + reach] for place in (first, last)
        )
        return max(max(early) - min(late), max(late) - min(early), 0.0)


def _mean_w(before: Update, after: Update) -> float:
    return (after.energy_j - before.energy_j) / (after.time_s - before.time_s)


def _most_w(limit_w: float | None) -> float:
    return MOST_W if limit_w is None else 2 * limit_w


def _fault(updates: Sequence[Update], limit_w: float | None) -> str | None:
    """Why the counter cannot be right over these updates."""
    for before, after in pairwise(updates):
        step_j = after.energy_j - before.energy_j
        if step_j < 0:
            return (
                f"its energy counter fell by {-step_j:.4g} J: it was reset, such as by a reload of "
                "the driver"
            )
        longest_s = after.last_s - before.first_s
        if step_j > _most_w(limit_w) * longest_s:
            return (
                f"its energy counter jumped by {step_j:.4g} J in {longest_s:.3g} s, more than it "
                f"can draw ({_most_w(limit_w):.0f} W)"
            )
    return None


def refined(update: Update, period_s: float | None) -> Update:
    """An update after a time without answers: the last one came no longer ago than they take."""
    if period_s is None:
        return update
    first_s = max(update.first_s, update.last_s - 1.5 * period_s)
    return replace(update, first_s=min(first_s, update.last_s))
