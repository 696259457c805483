"""When a ramp ends, over loads whose every request is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from llem_core.contracts import Chunk, RequestOutput
from llem_core.measure.load.driver import Flight
from llem_core.measure.load.ramp import Ramp


@dataclass
class Served:
    """Stands for a driver: ``rate`` requests/s, of which so many a second are served in turn."""

    rate: float
    served_per_s: float
    least_s: float = 0.5
    flights: list[Flight] = field(default_factory=list)
    arrivals: list[Chunk | RequestOutput] = field(default_factory=list)
    n_over: int = 0
    n_failed: int = 0

    @property
    def in_flight(self) -> int:
        return len(self.flights) - self.n_over

    def go_on(self, now_s: float) -> None:
        while len(self.flights) <= now_s * self.rate:
            due_s = len(self.flights) / self.rate
            self.flights.append(Flight(len(self.flights), 0, due_s, 0.0, due_s))
        for flight in self.flights[self.n_over :]:
            ended_s = max(flight.due_s + self.least_s, (flight.number + 1) / self.served_per_s)
            if ended_s > now_s:
                break
            flight.output = RequestOutput(
                index=flight.number, input_tokens=4, output_tokens=10,
                started_s=flight.sent_s, ended_s=ended_s,
            )  # fmt: skip
            self.arrivals += [Chunk(flight.number, ended_s, tokens=10), flight.output]
            self.n_over += 1


def ramp_of(served: Served, within_s: float = 300.0) -> tuple[float, str | None]:
    """How long the ramp took (s), and why it ended."""
    ramp = Ramp(served, 0.0, None, None)  # type: ignore[arg-type]
    now_s = 0.0
    while now_s < within_s:
        served.go_on(now_s)
        wait_s = ramp(now_s)
        if wait_s is None:
            break
        now_s += max(wait_s, 0.01)
    return now_s, ramp.ended_by


@pytest.mark.parametrize("share", [1.6, 2.0, 5.0])
def test_a_load_above_the_capacity_is_not_waited_for(share: float) -> None:
    """Each request takes longer than the one before, and three times the longest is never over."""
    took_s, why = ramp_of(Served(rate=20 * share, served_per_s=20))
    assert why == "limit"
    assert took_s <= 20


def test_a_load_that_can_be_served_is_soon_steady() -> None:
    took_s, why = ramp_of(Served(rate=10, served_per_s=20))
    assert why == "steady"
    assert took_s < 10


def test_long_requests_are_waited_for() -> None:
    """Requests in flight grow until the first is over; that is no growing backlog."""
    took_s, why = ramp_of(Served(rate=5, served_per_s=20, least_s=40.0))
    assert why == "steady"
    assert 40 < took_s < 120
