"""Pauses between runs, with a countdown."""

from __future__ import annotations

import time
from collections.abc import Callable

from llem_core.events import GapProgress, Listener
from llem_core.study.plan import Gap

_TICK_S = 1.0


def pause(
    gap: Gap,
    design_hash: str,
    listener: Listener,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait for the length of a gap, and tell what is left about once a second.

    Args:
        gap: the pause.
        design_hash: names the study in its events.
        listener: is told.
        sleep: waits for so many seconds.
        clock: monotonic time (s).
    """
    end_s = clock() + gap.seconds
    while (left_s := end_s - clock()) > 0:
        listener(GapProgress(design_hash, gap.kind, left_s, gap.seconds))
        # To the next whole second, so that the countdown does not stutter.
        sleep(left_s % _TICK_S or min(left_s, _TICK_S))
    listener(GapProgress(design_hash, gap.kind, 0.0, gap.seconds))
