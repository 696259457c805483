"""Wrap-arounds of a RAPL zone, counted in this process.

RAPL's counts start again at zero after 65 to 262 kJ, which takes minutes. Zeus has one
interpreter per zone watch for that, each of which imports the main module and scikit-learn
anew: seconds of CPU time that would fall into the first baseline, and an accident in a
script whose main module has no guard. A count that only this process reads can be watched
here: it is enough to read it more often than it can wrap.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path


class WrapCounter:
    """Stands in for Zeus's ``RaplWraparoundTracker`` of one file.

    Args:
        energy_file: the zone's ``energy_uj``.
    """

    def __init__(self, energy_file: Path) -> None:
        self._file = energy_file
        self._lock = threading.Lock()
        self._wraps = 0
        self._last_uj = self._read_uj()

    def get_num_wraparounds(self) -> int:
        """Give the wrap-arounds so far. Zeus calls this after each of its own reads.

        Raises:
            OSError: the zone cannot be read any more.
        """
        with self._lock:
            now_uj = self._read_uj()
            if now_uj < self._last_uj:
                self._wraps += 1
            self._last_uj = now_uj
            return self._wraps

    def poll(self) -> None:
        """Look for a wrap-around; to be called at least once a minute."""
        # A zone that cannot be read is told by the window that needs it.
        with contextlib.suppress(OSError, ValueError):
            self.get_num_wraparounds()

    def _read_uj(self) -> float:
        return float(self._file.read_text())
