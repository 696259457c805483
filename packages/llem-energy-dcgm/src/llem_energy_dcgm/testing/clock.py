"""Simulated time: waiting costs none, and what repeats runs in between."""

from __future__ import annotations

from collections.abc import Callable


class VirtualClock:
    """A ``Clock`` that moves only when someone waits; one thing at a time may repeat on it.

    Args:
        start_s: the time that it begins at (s).
    """

    def __init__(self, start_s: float = 1000.0) -> None:
        self._now_s = start_s
        self._next_s = 0.0
        self._step: Callable[[], float] | None = None
        self._stepping = False

    def now(self) -> float:
        """The present (s)."""
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Move on, and run what is due meanwhile, each step at its own time."""
        until_s = self._now_s + duration_s
        while not self._stepping and self._step is not None and self._next_s <= until_s:
            self._now_s = begun_s = max(self._now_s, self._next_s)
            self._stepping = True
            try:
                wait_s = self._step()
            finally:
                self._stepping = False
            self._next_s = max(begun_s + wait_s, self._now_s)
        self._now_s = max(self._now_s, until_s)

    def repeat(self, step: Callable[[], float]) -> Callable[[], None]:
        """Run ``step`` whenever someone waits through its time."""
        self._next_s, self._step = self._now_s, step

        def stop() -> None:
            self._step = None

        return stop
