"""What has been seen of one GPU: the updates of its counter, and its other values."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

from llem_core.contracts import PowerSample

from llem_energy_dcgm.exporter import Answer
from llem_energy_dcgm.exposition import Card, Values


@dataclass(frozen=True, slots=True)
class Update:
    """A new number of the counter.

    It came between the asking of the last answer without it and the end of the first answer with
    it; half of a request's round trip is within that.

    Attributes:
        first_s, last_s: bounds of the moment at which it came (monotonic s).
        energy_j: the counter from then on.
    """

    first_s: float
    last_s: float
    energy_j: float

    @property
    def time_s(self) -> float:
        """The middle of the time in which it came (monotonic s)."""
        return (self.first_s + self.last_s) / 2

    @property
    def half_s(self) -> float:
        """Half of that time (s)."""
        return (self.last_s - self.first_s) / 2


@dataclass(frozen=True, slots=True)
class Seen:
    """Values as they were from a moment on.

    Attributes:
        time_s: the middle of the time in which they came (monotonic s).
        values: the values.
    """

    time_s: float
    values: Values


class Track:
    """One GPU over time.

    Args:
        card: as it was first named.

    Attributes:
        updates: of its counter, oldest first.
        seen: its values whenever some of them changed, oldest first; again where none did for
            longer than an update takes.
        has_counter: whether its counter was ever told.
        blank_since_s: since when its counter is told no more; ``None`` where it is.
        changes_s: when some of its values changed (monotonic s).
        absent_since_s: since when the exporter does not name it; ``None`` where it does.
    """

    def __init__(self, card: Card) -> None:
        self.uuid = card.uuid
        self.label = card.label
        self.hostname = card.hostname
        self.instances = card.instances
        self.updates: list[Update] = []
        self.seen: list[Seen] = []
        self.has_counter = False
        self.blank_since_s: float | None = None
        self.absent_since_s: float | None = None
        self.changes_s: list[float] = []
        self._energy_j: float | None = None
        self._energy_asked_s = 0.0
        self._values: Values | None = None
        self._asked_s = 0.0

    def take(self, card: Card, answer: Answer, repeat_after_s: float) -> bool:
        """Note an answer that names it.

        Args:
            card: what it says.
            answer: when it came.
            repeat_after_s: after how long values that do not change are noted again (s).

        Returns:
            Whether any of its values has changed.
        """
        self.absent_since_s = None
        self.instances = card.instances or self.instances
        self._take_energy(card.values.energy_j, answer)
        middle_s = (self._asked_s + answer.answered_s) / 2
        changed = self._values is not None and card.values != self._values
        if changed:
            self.changes_s.append(middle_s)
            self.seen.append(Seen(middle_s, card.values))
        elif self._values is None or answer.asked_s - self.seen[-1].time_s > repeat_after_s:
            now_s = (answer.asked_s + answer.answered_s) / 2
            self.seen.append(Seen(now_s, card.values))
        self._values, self._asked_s = card.values, answer.asked_s
        return changed

    def miss(self, asked_s: float) -> None:
        """Note an answer that does not name it."""
        if self.absent_since_s is None:
            self.absent_since_s = asked_s

    def _take_energy(self, energy_j: float | None, answer: Answer) -> None:
        if energy_j is None:
            if self.blank_since_s is None:
                self.blank_since_s = answer.asked_s
            return
        self.blank_since_s, self.has_counter = None, True
        if self._energy_j is not None and energy_j != self._energy_j:
            self.updates.append(Update(self._energy_asked_s, answer.answered_s, energy_j))
        self._energy_j, self._energy_asked_s = energy_j, answer.asked_s

    def periods_s(self) -> list[float]:
        """Time between its last updates (s): of the counter, or of any value without one."""
        times = [u.time_s for u in self.updates] if self.has_counter else self.changes_s
        last = times[-21:]
        return [after - before for before, after in pairwise(last)]

    def samples(self, started_s: float, ended_s: float, lag_s: float) -> tuple[PowerSample, ...]:
        """Its values over an interval, as old as they are held to be (s)."""
        rows = self.between(started_s + lag_s, ended_s + lag_s)
        return tuple(
            PowerSample(
                row.time_s - lag_s,
                self.uuid,
                row.values.power_w,
                row.values.temperature_c,
                row.values.utilisation_percent,
                row.values.memory_bytes,
                row.values.sm_clock_hz,
                row.values.memory_clock_hz,
                row.values.throttle_reasons,
            )
            for row in rows
        )

    def between(self, started_s: float, ended_s: float) -> Sequence[Seen]:
        """What was seen in an interval, its edges left out."""
        rows = list(self.seen)
        first = bisect.bisect_right(rows, started_s, key=attrgetter("time_s"))
        return rows[first : bisect.bisect_left(rows, ended_s, key=attrgetter("time_s"))]
