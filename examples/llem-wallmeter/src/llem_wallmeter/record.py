"""The meter's readings so far, on this machine's monotonic clock."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Iterable

from llem_wallmeter.config import WallMeterConfig
from llem_wallmeter.energy import Reading, to_base
from llem_wallmeter.lines import is_reading, parse
from llem_wallmeter.source import Arrived


class Record:
    """Keeps readings in order of time, and notes what is odd about the lines.

    Args:
        config: what the lines mean.
        unix_offset_s: Unix time less monotonic time, in seconds, now.

    Attributes:
        readings: in strictly rising order of time.
        step: worth of the last digit that was ever written, in the unit of the lines.
        broken_lines: how many lines were no readings.
        late_lines: how many had a time that was not after the one before.
        clock_step_s: how far this machine's clock was set since the first line (s).
    """

    def __init__(
        self,
        config: WallMeterConfig,
        unix_offset_s: Callable[[], float] = lambda: time.time() - time.monotonic(),
    ) -> None:
        self.readings: list[Reading] = []
        self.step: float | None = None
        self.broken_lines = 0
        self.late_lines = 0
        self.clock_step_s = 0.0
        self._config = config
        self._unix_offset_s = unix_offset_s
        self._first_offset_s = unix_offset_s()

    @property
    def last_s(self) -> float | None:
        """Time of the latest reading."""
        return self.readings[-1].time_s if self.readings else None

    def add(self, lines: Iterable[Arrived]) -> None:
        """Take in lines, each with the moment it was seen."""
        offset_s = self._unix_offset_s()
        self.clock_step_s = offset_s - self._first_offset_s
        shift_s = offset_s if self._config.clock == "unix" else 0.0
        for seen_s, text in lines:
            if not is_reading(text):
                continue
            line = parse(text, timed=self._config.clock != "arrival")
            if line is None:
                self.broken_lines += 1
                continue
            self.step = line.step if self.step is None else min(self.step, line.step)
            time_s = seen_s if line.time_s is None else line.time_s - shift_s
            if self.last_s is not None and time_s <= self.last_s:
                self.late_lines += 1
                continue
            self.readings.append(Reading(time_s, to_base(line.value, self._config)))

    def around(self, started_s: float, ended_s: float) -> list[Reading]:
        """The readings of a window and the nearest on either side, where there are any."""
        first = bisect.bisect_right(self.readings, started_s, key=_time) - 1
        last = bisect.bisect_left(self.readings, ended_s, key=_time)
        return self.readings[max(first, 0) : last + 1]


def _time(reading: Reading) -> float:
    return reading.time_s
