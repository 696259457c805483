"""A thread that does one thing at a fixed interval."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Periodic:
    """Calls ``action`` every ``interval_s`` seconds in a daemon thread until stopped.

    Calls are due at multiples of the interval from the start; those that were missed are
    left out. ``action`` must not raise.
    """

    def __init__(self, interval_s: float, action: Callable[[], None], name: str) -> None:
        self._interval_s = interval_s
        self._action = action
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; the first call is one interval later."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for a call that is under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due_s = time.monotonic() + self._interval_s
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            self._action()
            missed = max(0, int((time.monotonic() - due_s) // self._interval_s))
            due_s += (missed + 1) * self._interval_s
