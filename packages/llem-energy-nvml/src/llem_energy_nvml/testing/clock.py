"""Simulated time: waiting costs none, and what repeats runs in between, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Repeated:
    next_s: float
    interval_s: float
    step: Callable[[], None]


class VirtualClock:
    """A ``Clock`` that moves only when someone waits.

    Args:
        start_s: the time that it begins at (s).
    """

    def __init__(self, start_s: float = 1000.0) -> None:
        self._now_s = start_s
        self._repeated: list[_Repeated] = []
        self._stepping = False

    def now(self) -> float:
        """The present (s)."""
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Move on, and run what is due meanwhile, each step at its own time."""
        until_s = self._now_s + max(duration_s, 0.0)
        if self._stepping:  # a step that waits only makes itself and those after it late
            self._now_s = until_s
            return
        while self._repeated:
            due = min(self._repeated, key=lambda each: each.next_s)
            if due.next_s > until_s:
                break
            self._now_s = max(self._now_s, due.next_s)
            due.next_s += due.interval_s
            self._stepping = True
            try:
                due.step()
            finally:
                self._stepping = False
            due.next_s = max(due.next_s, self._now_s)
        self._now_s = max(self._now_s, until_s)

    def every(self, interval_s: float, step: Callable[[], None]) -> Callable[[], None]:
        """Run ``step`` now and after every interval that someone waits through."""
        repeated = _Repeated(self._now_s, interval_s, step)
        self._repeated.append(repeated)

        def stop() -> None:
            self._repeated.remove(repeated)

        return stop
