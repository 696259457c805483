"""A serving engine with scripted times."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Mapping, Sequence

from pydantic import Field

from llem_core.contracts import (
    Arrival,
    BackendSection,
    BackendSpec,
    CheckReport,
    Chunk,
    DeviceInfo,
    ModelInfo,
    Prompt,
    Purpose,
    RequestOutput,
    ServedRequest,
    ServingBackend,
    Workload,
)
from llem_core.errors import BackendError
from llem_core.testing.power import ServedPower


class ScriptedServingConfig(BackendSection):
    """How a ``ScriptedServer`` behaves."""

    slots: int = Field(2, ge=1, description="Requests that are served at once; others queue.")
    first_token_time_s: float = Field(0.0, ge=0, description="From its start to its first token.")
    token_time_s: float = Field(0.0, ge=0, description="From each token to the next (s).")
    tokens_per_chunk: int = Field(1, ge=1, description="Tokens that arrive together.")
    failing: tuple[int, ...] = Field((), description="Indices of the requests that fail.")
    dies_after: int | None = Field(None, description="Requests after which the engine dies.")


class ScriptedServer(ServingBackend):
    """Serves with times that are known when a request is submitted, without thread or socket.

    Args:
        workload: as for any backend.
        clock: monotonic seconds.
        sleep: waits on that clock.
        power: is told when each request is in hand, so that a sampler can read what that draws.

    Example::

        clock = ManualClock()
        section = ScriptedServingConfig(slots=1, first_token_time_s=0.2, token_time_s=0.1)
        server = ScriptedServer(
            Workload("any", "auto", 32, 3, 42, DecoderConfig(), section), clock, clock.sleep
        )
        server.load()
        for request in server.prepare([Prompt(0, "one", 3), Prompt(1, "two", 3)], "measured"):
            server.submit(request)
        assert server.arrived(1.0) == [Chunk(0, 0.2, tokens=1)]
        server.unload()
    """

    def __init__(
        self,
        workload: Workload,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        power: ServedPower | None = None,
    ) -> None:
        super().__init__(workload)
        assert isinstance(workload.section, ScriptedServingConfig)
        self.section = workload.section
        self._clock, self._sleep = clock, sleep
        self._power = power
        self._free_s = [clock()] * self.section.slots
        self._due: list[tuple[float, int, Arrival]] = []
        self._order = itertools.count()
        self._submitted = 0
        self._generated = 0

    def load(self) -> ModelInfo:
        """Pretend to load a model of a million parameters."""
        return ModelInfo(
            parameters=1_000_000,
            parameters_non_embedding=800_000,
            dtype="fp32",
            weights_bytes=4_000_000,
            devices=(DeviceInfo("cpu", "Scripted CPU"),),
        )

    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[ServedRequest]:
        """A word is a token."""
        del purpose
        most = self.workload.max_input_tokens
        full = [(p, p.synthetic_tokens or len((p.text or "").split())) for p in prompts]
        return [
            ServedRequest(p.index, min(n, most), p.max_new_tokens, truncated=n > most)
            for p, n in full
        ]

    def submit(self, request: ServedRequest) -> None:
        """Take the next free slot, and put all that will arrive in order."""
        self._submitted += 1
        if self._dead:
            return
        sent_s = self._clock()
        slot = self._free_s.index(min(self._free_s))
        started_s = max(sent_s, self._free_s[slot])
        first_s = started_s + self.section.first_token_time_s
        limit: int = request.payload
        size, step_s = self.section.tokens_per_chunk, self.section.token_time_s
        # Tokens of a chunk come when its last one does.
        times_s = tuple(
            first_s + step_s * min(size * (i // size) + size - 1, limit - 1) for i in range(limit)
        )
        if request.index in self.section.failing:
            self._end(request, sent_s, started_s, (), "scripted failure")
            return
        self._free_s[slot] = times_s[-1]
        if self._power is not None:
            self._power.serve(started_s, times_s[-1])
        for start in range(0, limit, size):
            together = times_s[start : start + size]
            self._put(together[0], Chunk(request.index, together[0], len(together)))
        self._end(request, sent_s, started_s, times_s, None)

    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        """Wait for the next arrival, and hand over all that is due then."""
        if self._dead:
            raise BackendError("scripted death of the engine")
        now_s = self._clock()
        next_s = self._due[0][0] if self._due else now_s + timeout_s
        self._sleep(max(0.0, min(next_s, now_s + timeout_s) - now_s))
        found = []
        while self._due and self._due[0][0] <= self._clock():
            found.append(heapq.heappop(self._due)[2])
        self._generated += sum(a.tokens or 0 for a in found if isinstance(a, Chunk))
        return found

    def engine_counters(self) -> Mapping[str, float]:
        """The tokens that it has handed over."""
        return {"output_tokens": float(self._generated)}

    def cancel(self, index: int) -> None:
        """Drop what is left of it, and hand it over as cancelled; its slot stays taken."""
        left = [entry for entry in self._due if entry[2].index == index]
        ends = [entry[2] for entry in left if isinstance(entry[2], RequestOutput)]
        self._due = [entry for entry in self._due if entry[2].index != index]
        heapq.heapify(self._due)
        for end in ends:
            now_s = self._clock()
            started_s = min(end.started_s, now_s)
            request = ServedRequest(index, end.input_tokens, None)
            self._end(request, started_s, started_s, (), "cancelled", now_s)

    def unload(self) -> None:
        """Forget what is in flight."""
        self._due = []

    @property
    def _dead(self) -> bool:
        limit = self.section.dies_after
        return limit is not None and self._submitted > limit

    def _end(
        self,
        request: ServedRequest,
        sent_s: float,
        started_s: float,
        times_s: tuple[float, ...],
        error: str | None,
        ended_s: float | None = None,
    ) -> None:
        output = RequestOutput(
            index=request.index,
            input_tokens=request.input_tokens,
            output_tokens=len(times_s),
            started_s=started_s,
            ended_s=times_s[-1] if times_s else ended_s or started_s,
            queued_s=started_s - sent_s,
            first_token_s=times_s[0] if times_s else None,
            token_times_s=times_s,
            error=error,
        )
        self._put(output.ended_s, output)

    def _put(self, time_s: float, arrival: Arrival) -> None:
        heapq.heappush(self._due, (time_s, next(self._order), arrival))


def scripted_server(
    name: str = "scripted_server", create: Callable[[Workload], ServingBackend] = ScriptedServer
) -> BackendSpec:
    """The spec of a ``ScriptedServer``.

    Args:
        name: its name.
        create: makes it; pass a function that keeps the backend to look at it afterwards.

    Example::

        assert scripted_server("mine").name == "mine"
    """
    return BackendSpec(
        name,
        "Serves as its script says.",
        ScriptedServingConfig,
        create,
        lambda _: CheckReport(),
        serves=True,
    )
