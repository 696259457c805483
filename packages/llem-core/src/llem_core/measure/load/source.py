"""When requests are due: as many in flight as asked for, at random times, or at recorded ones."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from llem_core.config.load import LoadConfig, TraceRequest, read_trace

AFTER_FAILURE_S = 0.5
"""Pause of a slot after a failed request: an engine that refuses at once is not flooded (s)."""


class Source(Protocol):
    """Says when the next request is due."""

    def start(self, now_s: float) -> None:
        """The load begins."""

    def next_s(self) -> float | None:
        """When the next request is due (monotonic s); ``None`` while there is none."""

    def take(self) -> tuple[float, int]:
        """When the next one is due, and the position of its prompt; it counts as sent."""

    def over(self, position: int, ended_s: float, *, failed: bool) -> None:
        """A request is over."""

    @property
    def exhausted(self) -> bool:
        """Whether no request will ever be due again."""


def source_of(load: LoadConfig, n_prompts: int, seed: int) -> Source:
    """The source that the configuration asks for.

    Args:
        load: the configuration; not of mode ``batch``.
        n_prompts: how many prompts there are; they are taken in turn.
        seed: of the times between requests.
    """
    if load.mode == "trace":
        assert load.trace is not None
        return TraceSource(read_trace(load.trace).requests, load.time_scale)
    if load.mode == "open":
        return OpenSource(gaps(load, seed), n_prompts)
    assert load.concurrency is not None
    return ClosedSource(load.concurrency, n_prompts)


def gaps(load: LoadConfig, seed: int) -> Callable[[], float]:
    """Makes the times between requests (s), with mean ``1 / request_rate``.

    A gamma distribution of shape k has a coefficient of variation of 1/√k: k = 1 is exponential,
    the gaps of a Poisson process; a constant gap is its limit for large k.
    """
    assert load.request_rate is not None
    mean_s = 1.0 / load.request_rate
    if load.arrival == "constant":
        return lambda: mean_s
    shape = load.burstiness if load.arrival == "gamma" else 1.0
    draw = random.Random(f"arrivals-{seed}")  # noqa: S311 - no secret
    return lambda: draw.gammavariate(shape, mean_s / shape)


class ClosedSource:
    """Keeps a number of requests in flight: the next is due when one is over."""

    def __init__(self, concurrency: int, n_prompts: int) -> None:
        self._concurrency = concurrency
        self._prompts = itertools.cycle(range(n_prompts))
        self._due: list[float] = []

    def start(self, now_s: float) -> None:
        """All slots are free."""
        self._due = [now_s] * self._concurrency

    def next_s(self) -> float | None:
        """The earliest free slot."""
        return self._due[0] if self._due else None

    def take(self) -> tuple[float, int]:
        """Use the earliest free slot."""
        return heapq.heappop(self._due), next(self._prompts)

    def over(self, position: int, ended_s: float, *, failed: bool) -> None:
        """Its slot is free."""
        del position
        heapq.heappush(self._due, ended_s + (AFTER_FAILURE_S if failed else 0.0))

    @property
    def exhausted(self) -> bool:
        """Never."""
        return False


class OpenSource:
    """Requests come at a mean rate, whether earlier ones are over or not."""

    def __init__(self, gap_s: Callable[[], float], n_prompts: int) -> None:
        self._gap_s = gap_s
        self._prompts = itertools.cycle(range(n_prompts))
        self._due_s: float | None = None

    def start(self, now_s: float) -> None:
        """The first request comes after a first gap."""
        self._due_s = now_s + self._gap_s()

    def next_s(self) -> float | None:
        """The next arrival."""
        return self._due_s

    def take(self) -> tuple[float, int]:
        """One arrives, and the next is drawn."""
        due_s = self._due_s
        assert due_s is not None
        self._due_s = due_s + self._gap_s()
        return due_s, next(self._prompts)

    def over(self, position: int, ended_s: float, *, failed: bool) -> None:
        """It changes nothing."""

    @property
    def exhausted(self) -> bool:
        """Never."""
        return False


class TraceSource:
    """Requests come at recorded times; those of one session one after another.

    Args:
        requests: the trace, in the order of its times.
        time_scale: 2 replays it twice as fast.
    """

    def __init__(self, requests: Sequence[TraceRequest], time_scale: float) -> None:
        first_s = requests[0].timestamp_s
        self._offsets_s = [(r.timestamp_s - first_s) / time_scale for r in requests]
        self._sessions = [request.session for request in requests]
        self._started_s = 0.0
        self._coming = 0
        self._ready: list[tuple[float, int]] = []
        self._held: dict[str, deque[int]] = {}

    def start(self, now_s: float) -> None:
        """The trace's zero is now."""
        self._started_s = now_s

    def next_s(self) -> float | None:
        """The next recorded time, or that of a request whose session went on."""
        self._hold()
        times = [self._ready[0][0]] if self._ready else []
        if self._coming < len(self._offsets_s):
            times.append(self._started_s + self._offsets_s[self._coming])
        return min(times, default=None)

    def take(self) -> tuple[float, int]:
        """Send the earliest."""
        due_s = self.next_s()
        assert due_s is not None
        if self._ready and self._ready[0][0] <= due_s:
            return heapq.heappop(self._ready)
        position = self._coming
        self._coming += 1
        session = self._sessions[position]
        if session is not None:
            self._held.setdefault(session, deque())
        return due_s, position

    def over(self, position: int, ended_s: float, *, failed: bool) -> None:
        """The next request of its session may be sent."""
        del failed
        session = self._sessions[position]
        if session is None:
            return
        waiting = self._held[session]
        if waiting:
            follower = waiting.popleft()
            due_s = max(ended_s, self._started_s + self._offsets_s[follower])
            heapq.heappush(self._ready, (due_s, follower))
        else:
            del self._held[session]

    @property
    def exhausted(self) -> bool:
        """Whether all of it was sent."""
        return (
            self._coming >= len(self._offsets_s)
            and not self._ready
            and not any(self._held.values())
        )

    def _hold(self) -> None:
        """Requests whose session has one in flight wait for its end."""
        while self._coming < len(self._sessions):
            session = self._sessions[self._coming]
            if session is None or session not in self._held:
                return
            self._held[session].append(self._coming)
            self._coming += 1
