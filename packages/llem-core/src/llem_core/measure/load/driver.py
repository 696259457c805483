"""Sends requests when they are due, takes what arrives, and does nothing else meanwhile."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from llem_core.contracts.serving import Arrival, ServedRequest, ServingBackend
from llem_core.contracts.workload import RequestOutput
from llem_core.errors import BackendError
from llem_core.measure.load.source import Source

_LONGEST_WAIT_S = 0.25
_AFTER_CANCEL_S = 30.0

Until = Callable[[float], float | None]
"""Given the time, after how long it wants to be asked again (s); ``None``: that is enough."""


@dataclass(slots=True)
class Flight:
    """One request, from when it was due to its end.

    Attributes:
        number: its place in the order of sending, from 0.
        position: of its prompt.
        due_s: when it was due (monotonic s).
        late_s: how long after it could have been sent it was: the client's own lateness (s).
        sent_s: when it was sent (monotonic s).
        timed_out: whether it was given up.
        output: how it ended; ``None`` while it is in flight.
    """

    number: int
    position: int
    due_s: float
    late_s: float
    sent_s: float
    timed_out: bool = False
    output: RequestOutput | None = None


class LoadDriver:
    """Keeps a load on an engine.

    Args:
        backend: the engine, loaded.
        pool: requests that are ready to be sent, one a prompt; sent again under other numbers
            where there are not enough.
        source: says when they are due.
        limit: the most in flight; ``None`` for no limit.
        timeout_s: after which a request is given up (s).
        clock: monotonic seconds.

    Attributes:
        flights: all requests that were sent, in order.
        arrivals: everything that arrived, in order.
        in_flight: requests in flight.
        n_over: requests that are over.
        n_failed: those of them that failed.
    """

    def __init__(
        self,
        backend: ServingBackend,
        pool: Sequence[ServedRequest],
        source: Source,
        limit: int | None,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._pool = pool
        self._source = source
        self._limit = limit
        self._timeout_s = timeout_s
        self._clock = clock
        self._timeouts: deque[tuple[float, Flight]] = deque()
        self._cancelled: deque[tuple[float, Flight]] = deque()
        self._full_until_s = float("-inf")
        self._last_due_s = float("inf")
        self._awaited_s = float("-inf")
        self._n_awaited = 0
        self._most_in_flight = 0
        self.flights: list[Flight] = []
        self.arrivals: list[Arrival] = []
        self.in_flight = 0
        self.n_over = 0
        self.n_failed = 0

    def start(self) -> float:
        """Begin the load; gives the time (monotonic s)."""
        now_s = self._clock()
        self._source.start(now_s)
        return now_s

    def await_until(self, due_s: float) -> None:
        """From now on, ``awaited`` tells of the requests that are due by then (monotonic s).

        The load goes on meanwhile, so that they end under the load under which they began, but
        never with more in flight than there were: a load above the capacity would grow for ever.
        """
        self._awaited_s = due_s
        self._n_awaited = sum(f.output is None and f.due_s <= due_s for f in self.flights)
        self._limit = max(1, self._most_in_flight)

    @property
    def awaited(self) -> bool:
        """Whether a request that ``await_until`` was told of is still to be sent, or in flight."""
        next_s = self._next_s()
        return self._n_awaited > 0 or (next_s is not None and next_s <= self._awaited_s)

    def stop(self, last_due_s: float) -> None:
        """Send nothing more that is due later than this (monotonic s)."""
        self._last_due_s = last_due_s

    @property
    def exhausted(self) -> bool:
        """Whether everything was sent and is over."""
        return self.in_flight == 0 and (self._source.exhausted or self._next_s() is None)

    def unsent(self) -> int:
        """How many requests were due and not sent, now that the load is over; asked once."""
        n = 0
        while self._next_s() is not None:
            self._source.take()
            n += 1
        return n

    def drive(self, until: Until) -> None:
        """Go on until ``until`` has enough.

        Raises:
            BackendError: the engine died, or breaks its contract.
        """
        arrived, clock = self._backend.arrived, self._clock
        while True:
            now_s = clock()
            self._send(now_s)
            asked_again_s = until(now_s)
            if asked_again_s is None:
                return
            found = arrived(max(0.0, min(asked_again_s, self._idle_s(now_s))))
            if found:
                self.arrivals += found
                for arrival in found:
                    if isinstance(arrival, RequestOutput):
                        self._end(arrival)

    def _next_s(self) -> float | None:
        due_s = self._source.next_s()
        return None if due_s is None or due_s > self._last_due_s else due_s

    def _idle_s(self, now_s: float) -> float:
        """How long nothing has to be done unless something arrives (s)."""
        wait_s = _LONGEST_WAIT_S
        due_s = self._next_s()
        if due_s is not None and (self._limit is None or self.in_flight < self._limit):
            wait_s = min(wait_s, due_s - now_s)
        if self._timeouts:
            wait_s = min(wait_s, self._timeouts[0][0] - now_s)
        return wait_s

    def _send(self, now_s: float) -> None:
        while self._limit is None or self.in_flight < self._limit:
            next_s = self._next_s()
            if next_s is None or next_s > now_s:
                break
            due_s, position = self._source.take()
            number = len(self.flights)
            request = replace(self._pool[position], index=number)
            now_s = self._clock()
            flight = Flight(
                number, position, due_s, max(0.0, now_s - max(due_s, self._full_until_s)), now_s
            )
            self.flights.append(flight)
            self.in_flight += 1
            self._most_in_flight = max(self._most_in_flight, self.in_flight)
            self._n_awaited += due_s <= self._awaited_s
            self._backend.submit(request)
            self._timeouts.append((now_s + self._timeout_s, flight))
        self._give_up(now_s)

    def _give_up(self, now_s: float) -> None:
        # Each has the same time, so that the first to be sent is the first to be given up.
        while self._timeouts and self._timeouts[0][0] <= now_s:
            _, flight = self._timeouts.popleft()
            if flight.output is None:
                flight.timed_out = True
                self._backend.cancel(flight.number)
                self._cancelled.append((now_s + _AFTER_CANCEL_S, flight))
        while self._cancelled and self._cancelled[0][0] <= now_s:
            _, flight = self._cancelled.popleft()
            if flight.output is None:
                raise BackendError(
                    f"request {flight.number} was cancelled {_AFTER_CANCEL_S:g} s ago and was "
                    "never handed over; this is a mistake in the backend's `cancel`"
                )

    def _end(self, output: RequestOutput) -> None:
        known = 0 <= output.index < len(self.flights)
        flight = self.flights[output.index] if known else None
        if flight is None or flight.output is not None:
            raise BackendError(
                f"the backend handed over request {output.index}, which is not in flight; this is "
                "a mistake in its `arrived`"
            )
        flight.output = output
        self._n_awaited -= flight.due_s <= self._awaited_s
        self.n_over += 1
        self.n_failed += output.error is not None
        if self._limit is not None and self.in_flight >= self._limit:
            self._full_until_s = output.ended_s
        self.in_flight -= 1
        self._source.over(flight.position, output.ended_s, failed=output.error is not None)
