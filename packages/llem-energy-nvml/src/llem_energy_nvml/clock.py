"""Time as the sampler sees it: everything that waits or repeats goes through a ``Clock``.

So the same code runs in real time, with a thread, and in simulated time, step by step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds, waiting, and repetition."""

    def now(self) -> float:
        """Monotonic time (s)."""

    def sleep(self, duration_s: float) -> None:
        """Wait (s)."""

    def every(self, interval_s: float, step: Callable[[], None]) -> Callable[[], None]:
        """Call ``step`` at a steady rate, from now on.

        Returns:
            Ends the repetition; no step runs once it has returned.
        """


class RealClock:
    """``time.monotonic``, and a daemon thread for each repetition."""

    def now(self) -> float:
        """Monotonic time (s)."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Wait (s)."""
        time.sleep(duration_s)

    def every(self, interval_s: float, step: Callable[[], None]) -> Callable[[], None]:
        """Start a thread; the schedule does not drift, and skips what it is late for."""
        stopped = threading.Event()

        def run() -> None:
            next_s = time.monotonic()
            while True:
                step()
                next_s = max(next_s + interval_s, time.monotonic())
                if stopped.wait(next_s - time.monotonic()):
                    return

        thread = threading.Thread(target=run, name="llem-nvml", daemon=True)
        thread.start()

        def stop() -> None:
            stopped.set()
            thread.join()

        return stop
