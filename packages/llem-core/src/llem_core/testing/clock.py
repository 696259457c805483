"""A clock that stands still until it is told to go on."""

from __future__ import annotations


class ManualClock:
    """Monotonic seconds that pass only when a test says so.

    Args:
        start_s: the time at which it begins (s).

    Example::

        clock = ManualClock()
        before_s = clock()
        clock.sleep(2.5)
        assert clock() - before_s == 2.5
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    def __call__(self) -> float:
        """Its time (s)."""
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Let time pass (s), at once.

        Raises:
            ValueError: the time is negative.
        """
        if duration_s < 0:
            raise ValueError(f"a clock does not go back: {duration_s} s")
        self._now_s += duration_s
