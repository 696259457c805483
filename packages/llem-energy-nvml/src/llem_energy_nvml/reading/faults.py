"""What an energy counter cannot do, and so is a fault: fall, stand still, jump.

The counter is read with every sample, so a fault in the middle of a window is seen, also one that
the two edges alone would hide.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from llem_core.units import format_duration, format_si

from llem_energy_nvml.reading.counter import Read

UNKNOWN_LIMIT_W = 2000.0
"""No single board draws more (2026)."""
_LIMIT_FACTOR = 1.25
"""Boards exceed their enforced limit for moments, and the gain of their sensor by 13 %."""
_STILL_S = 0.3
_STILL_REFRESHES = 3
_JUMP_SLACK_J = 1.0


def fault(
    reads: Sequence[Read], started_s: float, limit_w: float | None, refresh_s: float
) -> str | None:
    """The first fault among reads that follow each other; ``None`` if they can be right.

    Args:
        reads: of one counter, those of the edges included, oldest first.
        started_s: start of the window, for the message (monotonic s).
        limit_w: enforced power limit.
        refresh_s: the counter's refresh period.
    """
    most_w = _LIMIT_FACTOR * (limit_w or UNKNOWN_LIMIT_W)
    longest_still_s = max(_STILL_S, _STILL_REFRESHES * refresh_s)
    still_since_s = reads[0].answered_s if reads else 0.0
    for before, after in itertools.pairwise(reads):
        moved_j = after.energy_j - before.energy_j
        into = _into(after.asked_s - started_s)
        if moved_j < 0:
            return (
                f"the energy counter went backwards by {format_si(-moved_j, 'J')} {into}: the "
                "driver was reloaded or the device reset; measure again"
            )
        if moved_j > most_w * (after.answered_s - before.asked_s + refresh_s) + _JUMP_SLACK_J:
            took = format_duration(after.answered_s - before.asked_s)
            return (
                f"the energy counter jumped by {format_si(moved_j, 'J')} within {took} {into}, "
                f"more than the board can draw ({format_si(limit_w or UNKNOWN_LIMIT_W, 'W')}); "
                "measure again"
            )
        if moved_j > 0:
            still_since_s = after.asked_s
        elif after.asked_s - still_since_s > longest_still_s:
            return _still(reads, still_since_s, started_s)
    return None


def _still(reads: Sequence[Read], since_s: float, started_s: float) -> str:
    value_j = next(r.energy_j for r in reads if r.asked_s >= since_s)
    last = max(r.asked_s for r in reads if r.energy_j == value_j)
    end = "to its end" if last == reads[-1].asked_s else "and then went on"
    return (
        f"the energy counter stood still for {format_duration(last - since_s)}, "
        f"{_into(since_s - started_s)} {end}: energy of that time may be lost; measure again. If "
        "it stands still in every run it is dead: reload the driver, or reset the device"
    )


def _into(offset_s: float) -> str:
    if offset_s <= 0:
        return "from the window's start"
    return f"{format_duration(offset_s)} into the window"
