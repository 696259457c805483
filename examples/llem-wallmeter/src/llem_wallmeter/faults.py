"""What can be wrong with the readings around a window: each a reason for null."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from llem_wallmeter.config import WallMeterConfig
from llem_wallmeter.energy import Reading

_FEWEST = 3
_AHEAD_S = 0.1


def faults(
    readings: Sequence[Reading],
    started_s: float,
    ended_s: float,
    ahead_s: float,
    config: WallMeterConfig,
) -> Iterator[str]:
    """Why readings do not tell the energy of a window, the first being the one to show.

    Args:
        readings: those of the window and the nearest on either side, in order.
        started_s, ended_s: the window.
        ahead_s: how far the meter's latest reading lies in the future.
        config: what is allowed.
    """
    if ahead_s > max(_AHEAD_S, 3 * config.clock_error_seconds):
        yield (
            f"the meter's clock is {ahead_s:.2g} s ahead of this machine's; set both by one time "
            "server, or use wallmeter.clock: arrival"
        )
    if not readings or readings[-1].time_s < ended_s:
        yield silence(readings[-1].time_s if readings else None, ended_s, config)
        return
    if readings[0].time_s > started_s:
        yield "the meter gave its first reading after the window had begun"
    if len(readings) < _FEWEST:
        yield (
            f"the window of {ended_s - started_s:.2g} s has no reading of the meter in it: make it "
            "longer, or the meter faster"
        )
        return
    gap_s = max(after.time_s - before.time_s for before, after in pairwise(readings))
    if gap_s > config.stale_after_seconds:
        yield f"the meter was silent for {gap_s:.3g} s within the window"
    if config.quantity != "power_w" and any(b.value < a.value for a, b in pairwise(readings)):
        yield "the meter's running total went backwards: it was reset"


def silence(last_s: float | None, moment_s: float, config: WallMeterConfig) -> str:
    """That the meter has stopped, or never spoke."""
    told = (
        "no line could be read"
        if last_s is None
        else f"its last reading was {moment_s - last_s:.3g} s before that"
    )
    return (
        f"no reading came within {config.stale_after_seconds:g} s of when one was due; {told}. "
        f"Is its logger running, and are wallmeter.clock ({config.clock}) and "
        f"wallmeter.quantity ({config.quantity}) right?"
    )
