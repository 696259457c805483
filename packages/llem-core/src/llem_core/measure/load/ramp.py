"""Whether a load that has begun is steady, judged while it goes on."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from llem_core.contracts.serving import Chunk
from llem_core.measure.load.driver import Flight, LoadDriver
from llem_core.measure.load.steady import mean_by_third

TICK_S = 0.25
_SHORTEST_S = 2.0
_LONGEST_S = 60.0
_GROWING_S = 15.0
_FIRST_S = 1.0
_FEWEST = 24
_MORE = 1.5
_SAME = 0.10
_STANDARD_ERRORS = 2.0
_HOPELESS = 20

RampEnd = Literal["steady", "ramp_seconds", "limit", "trace"]


@dataclass(slots=True)
class Ramp:
    """Asked again and again whether the load is steady.

    It is when at least one whole request per slot is over, and over the second half of the time so
    far, 2 s at least, neither the requests in flight nor the tokens per second differ between its
    two halves by more than 10 %, or by more than two standard errors of that difference. A load
    that does not become so is not waited for longer than 60 s, or 15 s where there is no limit to
    the requests in flight and they become more and more, as above the capacity; or three times the
    longest of the first requests. Of the first, since above the capacity each takes longer than the
    one before.

    Args:
        driver: drives the load.
        started_s: when it began (monotonic s).
        asked_s: how long it shall last (s); ``None``: until it is steady.
        slots: requests in flight at the most; ``None`` for no limit.
    """

    driver: LoadDriver
    started_s: float
    asked_s: float | None
    slots: int | None
    ended_by: RampEnd | None = None
    _next_s: float = 0.0
    _seen: int = 0
    _rows: list[tuple[float, int, int]] = field(default_factory=list)

    def __call__(self, now_s: float) -> float | None:
        """As ``Until``."""
        if now_s >= self._next_s:
            self._note(now_s)
            self._next_s = now_s + TICK_S
            self.ended_by = self._end(now_s)
        if self.ended_by is not None:
            return None
        left_s = self._next_s - now_s
        return left_s if self.asked_s is None else min(left_s, self._asked_left_s(now_s))

    def _asked_left_s(self, now_s: float) -> float:
        assert self.asked_s is not None
        return max(0.0, self.started_s + self.asked_s - now_s)

    def _note(self, now_s: float) -> None:
        new = self.driver.arrivals[self._seen :]
        self._seen += len(new)
        tokens = sum((a.tokens or 1) if isinstance(a, Chunk) else 0 for a in new)
        self._rows.append((now_s, self.driver.in_flight, tokens))

    def _end(self, now_s: float) -> RampEnd | None:
        if self.asked_s is not None:
            return "ramp_seconds" if self._asked_left_s(now_s) <= 0 else None
        elapsed_s = now_s - self.started_s
        if self._whole_request_per_slot() and self._is_steady(now_s, elapsed_s):
            return "steady"
        return "limit" if elapsed_s >= self.limit_s else None

    @property
    def hopeless(self) -> bool:
        """Whether many requests are over and all of them failed."""
        return self.driver.n_over >= _HOPELESS and self.driver.n_failed == self.driver.n_over

    def _whole_request_per_slot(self) -> bool:
        slots = self.driver.in_flight if self.slots is None else self.slots
        first = self.driver.flights[: max(slots, 1)]
        return len(first) > 0 and all(flight.output is not None for flight in first)

    def _is_steady(self, now_s: float, elapsed_s: float) -> bool:
        if elapsed_s < _SHORTEST_S:
            return False
        since_s = now_s - max(_SHORTEST_S, elapsed_s / 2)
        rows = [row for row in self._rows if row[0] >= since_s]
        return all(_same([float(row[column]) for row in rows]) for column in (1, 2))

    @property
    def limit_s(self) -> float:
        """How long it is waited for at the most (s)."""
        ended = [f.output.ended_s - f.due_s for f in self._first() if f.output is not None]
        return max(_GROWING_S if self._grows() else _LONGEST_S, 3 * max(ended, default=0.0))

    def _first(self) -> Sequence[Flight]:
        """The requests that began the load."""
        flights = self.driver.flights
        if self.slots is not None:
            return flights[: max(self.slots, 1)]
        until_s = self.started_s + _FIRST_S
        return flights[:1] + list(itertools.takewhile(lambda f: f.due_s <= until_s, flights[1:]))

    def _grows(self) -> bool:
        """Whether requests in flight have become more through all of the time so far."""
        if self.slots is not None or len(self._rows) < _FEWEST or not self.driver.n_over:
            return False
        first, second, last = mean_by_third([in_flight for _, in_flight, _ in self._rows])
        return second > _MORE * first and last > second + (_MORE - 1) * first


def _same(values: Sequence[float]) -> bool:
    half = len(values) // 2
    if half < 2:
        return False
    first, second = values[:half], values[-half:]
    difference = abs(statistics.fmean(first) - statistics.fmean(second))
    mean = statistics.fmean(values)
    error = math.sqrt((statistics.variance(first) + statistics.variance(second)) / half)
    return difference <= max(_SAME * mean, _STANDARD_ERRORS * error)
