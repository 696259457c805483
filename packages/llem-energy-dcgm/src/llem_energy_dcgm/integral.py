"""Energy without a counter: power integrated; and why a GPU has none at all."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import pairwise

from llem_core.contracts import UncertaintyComponent
from llem_core.meters import GPU_GAIN_HALF_WIDTH, PowerHistory, gain

from llem_energy_dcgm.account import Counted, Lag
from llem_energy_dcgm.track import Seen, Track

_STILL = 5
"""Updates in which no value changes, after which they are frozen: a sensor's last digits move."""
_GAP = 4
"""Updates that may be missing before the power in between is unknown."""
MIG_REFUSED = (
    "MIG is on, and the exporter has the energy of the whole board alone, which cannot be told "
    "apart between its instances; turn MIG off"
)


def integrated(
    track: Track, started_s: float, ended_s: float, lag: Lag, period_s: float
) -> Counted:
    """Power as it was shown, by the trapezoid rule.

    A value is shown some time after its moment, and until the next one comes it is as old again.

    Args:
        track: of the GPU.
        started_s, ended_s: the interval (monotonic s).
        lag: between a moment and the power shown for it.
        period_s: time between two updates (s).
    """
    history = PowerHistory(lag.time_s)
    rows = [row for row in list(track.seen) if row.values.power_w is not None]
    if not rows:
        return Counted(None, "the exporter tells neither its energy nor its power")
    for row in rows:
        history.add(row.time_s, row.values.power_w or 0.0)
    last_s = rows[-1].time_s - lag.time_s - lag.half_s
    still_s = _longest_still_s(track.changes_s, started_s, min(ended_s, last_s))
    if still_s > _STILL * period_s:
        return Counted(None, f"none of its values changed for {still_s:.3g} s: they are frozen")
    if last_s < ended_s:
        return Counted(None, early=True)
    inside = track.between(started_s + lag.time_s, ended_s + lag.time_s)
    times = [started_s + lag.time_s, *(row.time_s for row in inside), ended_s + lag.time_s]
    gap_s = max(after - before for before, after in pairwise(times))
    if gap_s > _GAP * period_s:
        return Counted(
            None, f"for {gap_s:.3g} s of the interval the exporter did not tell its power"
        )
    found = history.energy(started_s, ended_s)
    if found.energy_j is None:
        return Counted(None, found.reason)
    early_w, late_w = (
        _around_w(rows, edge_s + lag.time_s, lag.half_s) for edge_s in (started_s, ended_s)
    )
    shift_w = max(max(early_w) - min(late_w), max(late_w) - min(early_w), 0.0)
    lag_term = UncertaintyComponent("lag", lag.half_s * shift_w, common_to_devices=True)
    # Its own term of the offset is 0, as the history knows of none.
    terms = [term for term in found.terms if term.name != "clock_offset"]
    return Counted(
        found.energy_j,
        terms=(*terms, lag_term, gain(found.energy_j, GPU_GAIN_HALF_WIDTH)),
    )


def _around_w(rows: Sequence[Seen], time_s: float, half_s: float) -> list[float]:
    """Powers within ± a time around a moment, with the next ones on both sides (W)."""
    times = [row.time_s for row in rows]
    first = max(bisect.bisect_left(times, time_s - half_s) - 1, 0)
    last = bisect.bisect_right(times, time_s + half_s)
    return [row.values.power_w or 0.0 for row in rows[first : last + 1]]


def _longest_still_s(changes_s: Sequence[float], started_s: float, ended_s: float) -> float:
    """The longest time without a change that an interval has a part in (s)."""
    times = list(changes_s)
    first = max(bisect.bisect_right(times, started_s) - 1, 0)
    last = bisect.bisect_left(times, ended_s)
    around = [*times[first : last + 1]] or [started_s]
    if around[-1] < ended_s:
        around.append(ended_s)
    if around[0] > started_s:
        around.insert(0, started_s)
    return max((after - before for before, after in pairwise(around)), default=0.0)


def standing_still(track: Track, now_s: float, longest_s: float, first_s: float) -> str | None:
    """Why a GPU that is named has no news; ``None`` if it is only early."""
    if track.has_counter:
        if track.blank_since_s is not None:
            return (
                f"the exporter has given no number for its energy for "
                f"{now_s - track.blank_since_s:.3g} s"
            )
        last_s = track.updates[-1].time_s if track.updates else first_s
        what = "its energy counter stands still"
    else:
        last_s = track.changes_s[-1] if track.changes_s else first_s
        what = "none of its values has changed"
    if now_s - last_s <= longest_s:
        return None
    return f"{what}, for {now_s - last_s:.3g} s by now: it is frozen"
