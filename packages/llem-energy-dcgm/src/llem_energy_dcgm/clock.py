"""Time as the sampler sees it: a thread that sleeps in real time, or steps in simulated time."""

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

    def repeat(self, step: Callable[[], float]) -> Callable[[], None]:
        """Call ``step`` again and again, as many seconds after its last begin as it says.

        Returns:
            Ends the repetition; no step runs once it has returned.
        """


class RealClock:
    """``time.monotonic``, and a daemon thread for the repetition."""

    def now(self) -> float:
        """Monotonic time (s)."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Wait (s)."""
        time.sleep(duration_s)

    def repeat(self, step: Callable[[], float]) -> Callable[[], None]:
        """Start a thread, which sleeps between two steps."""
        stopped = threading.Event()

        def run() -> None:
            wait_s = 0.0
            while not stopped.wait(wait_s):
                begun_s = time.monotonic()
                wait_s = max(0.0, begun_s + step() - time.monotonic())

        thread = threading.Thread(target=run, name="llem-dcgm", daemon=True)
        thread.start()

        def stop() -> None:
            stopped.set()
            thread.join()

        return stop
