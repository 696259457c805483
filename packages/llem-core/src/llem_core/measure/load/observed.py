"""What a load left behind: requests, the times of their tokens, and its series by the second."""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from llem_core.contracts.serving import Chunk
from llem_core.contracts.sink import LoadPoint
from llem_core.errors import BackendError
from llem_core.measure.load.driver import Flight
from llem_core.results.process import RequestRecord

_CLOCK_SLACK_S = 0.1


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time (monotonic s)."""

    started_s: float
    ended_s: float

    def __contains__(self, time_s: float) -> bool:
        return self.started_s <= time_s < self.ended_s

    @property
    def duration_s(self) -> float:
        """Its length (s)."""
        return self.ended_s - self.started_s


@dataclass(slots=True)
class ServedTokens:
    """When the tokens of one request were there.

    Attributes:
        times_s: one a token (monotonic s), in order; tokens of one chunk share a time.
        spread: whether chunks did not tell how many tokens they held.
        n_chunks: chunks that arrived.
    """

    times_s: list[float]
    spread: bool
    n_chunks: int

    def within(self, interval: Interval) -> int:
        """How many were there within an interval."""
        first = bisect.bisect_left(self.times_s, interval.started_s)
        return bisect.bisect_left(self.times_s, interval.ended_s) - first


def served_tokens(flights: Sequence[Flight], arrivals: Iterable[object]) -> list[ServedTokens]:
    """The tokens of each request, by its number.

    The engine's own times come first, then those of the chunks that told their tokens; where they
    did not, the tokens of the request's end are spread evenly over its chunks.
    """
    chunks: dict[int, list[Chunk]] = defaultdict(list)
    for arrival in arrivals:
        if isinstance(arrival, Chunk):
            chunks[arrival.index].append(arrival)
    return [_tokens(flight, chunks.get(flight.number, [])) for flight in flights]


def _tokens(flight: Flight, chunks: Sequence[Chunk]) -> ServedTokens:
    output = flight.output
    if output is not None and output.token_times_s is not None and output.error is None:
        return ServedTokens(sorted(output.token_times_s), False, len(chunks))
    counts = [chunk.tokens for chunk in chunks]
    told = [count for count in counts if count is not None]
    total = sum(told) if output is None or output.error is not None else output.output_tokens
    if len(told) == len(counts) and sum(told) == total:
        spread = False
    else:
        told, spread = _shares(total, len(chunks)), total != len(chunks)
    times = (itertools.repeat(c.time_s, n) for c, n in zip(chunks, told, strict=False))
    times_s = sorted(itertools.chain.from_iterable(times))
    if not chunks and output is not None and output.error is None:
        times_s, spread = [output.ended_s] * total, total > 1
    return ServedTokens(times_s, spread, len(chunks))


def _shares(total: int, parts: int) -> list[int]:
    return [total * (i + 1) // parts - total * i // parts for i in range(parts)]


@dataclass(slots=True)
class ObservedLoad:
    """A load from its start to the end of its last request.

    Attributes:
        flights: its requests, in the order of their sending.
        tokens: theirs, likewise.
        interval: the whole load.
    """

    flights: Sequence[Flight]
    tokens: Sequence[ServedTokens]
    interval: Interval
    _every_token_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._every_token_s = sorted(itertools.chain.from_iterable(t.times_s for t in self.tokens))

    def output_tokens(self, interval: Interval) -> int:
        """Output tokens that arrived within an interval."""
        first = bisect.bisect_left(self._every_token_s, interval.started_s)
        return bisect.bisect_left(self._every_token_s, interval.ended_s) - first

    def points(self, interval: Interval, n: int) -> list[LoadPoint]:
        """The series over equal parts of an interval."""
        step_s = interval.duration_s / n
        edges = [interval.started_s + step_s * i for i in range(n)] + [interval.ended_s]
        flying = _means(((f.sent_s, self._end_s(f)) for f in self.flights), edges)
        waiting = _means(((f.due_s, f.sent_s) for f in self.flights), edges)
        return [
            LoadPoint(a, b - a, flying[i], waiting[i], self.output_tokens(Interval(a, b)))
            for i, (a, b) in enumerate(itertools.pairwise(edges))
        ]

    def backlog(self, time_s: float) -> int:
        """Requests that were due by then and not over."""
        return sum(f.due_s <= time_s < self._end_s(f) for f in self.flights)

    def in_flight_peak(self, interval: Interval) -> int:
        """Most requests in flight at a moment of an interval."""
        steps = sorted(
            step
            for f in self.flights
            for step in ((max(f.sent_s, interval.started_s), 1), (self._end_s(f), -1))
            if f.sent_s < interval.ended_s and self._end_s(f) >= interval.started_s
        )
        level = peak = 0
        for time_s, change in steps:
            if time_s >= interval.ended_s:
                break
            level += change
            peak = max(peak, level)
        return peak

    def due_within(self, interval: Interval) -> list[Flight]:
        """Requests that were due within an interval."""
        return [flight for flight in self.flights if flight.due_s in interval]

    def _end_s(self, flight: Flight) -> float:
        return self.interval.ended_s if flight.output is None else flight.output.ended_s


def _means(spans: Iterable[tuple[float, float]], edges: Sequence[float]) -> list[float]:
    """Mean number of spans that are open, between each two edges."""
    open_s = [0.0] * (len(edges) - 1)
    for started_s, ended_s in spans:
        first = max(bisect.bisect_right(edges, started_s) - 1, 0)
        for i in range(first, len(open_s)):
            if edges[i] >= ended_s:
                break
            open_s[i] += max(0.0, min(ended_s, edges[i + 1]) - max(started_s, edges[i]))
    return [
        total / (b - a) for total, (a, b) in zip(open_s, itertools.pairwise(edges), strict=True)
    ]


def records(
    load: ObservedLoad, window: Interval, energy_j: Sequence[float | None]
) -> list[RequestRecord]:
    """Every request as the result keeps it, in the order of sending.

    Latencies count from the moment at which the request was due, so ``started_s`` is that moment.

    Raises:
        BackendError: a request ended at a time at which it was not in flight.
    """
    return [
        _record(flight, tokens, window, joules)
        for flight, tokens, joules in zip(load.flights, load.tokens, energy_j, strict=True)
        if flight.output is not None
    ]


def _record(
    flight: Flight, tokens: ServedTokens, window: Interval, energy_j: float | None
) -> RequestRecord:
    output = flight.output
    assert output is not None
    if not flight.sent_s - _CLOCK_SLACK_S <= output.ended_s:
        raise BackendError(
            f"the backend says that request {flight.number} ended at {output.ended_s:.3f} s, and "
            f"it was sent at {flight.sent_s:.3f} s; times are those of time.monotonic()"
        )
    error, kind = failure(flight)
    times_s = tokens.times_s if error is None and not tokens.spread else None
    first_s = output.first_token_s
    if first_s is None and tokens.n_chunks and tokens.times_s and error is None:
        first_s = tokens.times_s[0]
    return RequestRecord(
        index=flight.number,
        batch=0,
        prompt=flight.position,
        input_tokens=output.input_tokens,
        output_tokens=0 if error else output.output_tokens,
        started_s=flight.due_s,
        sent_s=flight.sent_s,
        ended_s=max(output.ended_s, flight.due_s),
        queued_s=output.queued_s,
        first_token_s=first_s if error is None else None,
        token_times_s=list(times_s) if times_s is not None else None,
        token_ids=list(output.token_ids),
        text=output.text,
        error=error,
        error_kind=kind,
        in_window=flight.due_s in window,
        energy_attributed_j=energy_j,
    )


def failure(flight: Flight) -> tuple[str | None, str | None]:
    """Why a request failed, and the kind of it; two ``None`` if it did not."""
    output = flight.output
    if output is None or output.error is None:
        return None, None
    if flight.timed_out:
        return "it was not over within load.request_timeout_seconds", "timeout"
    return output.error, output.error_kind or "error"
