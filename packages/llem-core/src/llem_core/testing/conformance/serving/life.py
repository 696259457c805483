"""One life of an engine that serves, recorded for the rules to look at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from llem_core.contracts import (
    Arrival,
    Chunk,
    Prompt,
    RequestOutput,
    ServedRequest,
    ServingBackend,
)
from llem_core.testing.conformance.rules import breach

_STEP_S = 0.2


@dataclass
class Served:
    """What an engine handed over for requests that were submitted together.

    Attributes:
        prompts: the prompts, by index.
        requests: the requests, in the order in which they were submitted.
        sent_s: when the call of ``submit`` began and when it returned, by index (monotonic s).
        arrivals: everything that arrived, in order, each with the time at which it was handed over.
        idle: what ``arrived`` gave before anything was submitted.
        counters: what the engine counted before the first request and after the last.
    """

    prompts: dict[int, Prompt]
    requests: Sequence[ServedRequest] = ()
    sent_s: dict[int, tuple[float, float]] = field(default_factory=dict)
    arrivals: list[tuple[float, Arrival]] = field(default_factory=list)
    idle: list[Arrival] = field(default_factory=list)
    counters: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {})

    @property
    def outputs(self) -> list[RequestOutput]:
        """Requests that are over, in the order in which they were handed over."""
        return [a for _, a in self.arrivals if isinstance(a, RequestOutput)]

    def chunks(self, index: int) -> list[Chunk]:
        """The chunks of one request, in order."""
        return [a for _, a in self.arrivals if isinstance(a, Chunk) and a.index == index]


def serve(
    backend: ServingBackend, prompts: Sequence[Prompt], limit_s: float, cancel: int | None = None
) -> Served:
    """Submit all prompts at once and take what arrives, until all are over.

    Args:
        backend: loaded.
        prompts: the prompts.
        limit_s: after which an engine that hands over nothing counts as hung (s).
        cancel: index of a request to give up as soon as all are sent.
    """
    served = Served({prompt.index: prompt for prompt in prompts})
    served.idle = list(backend.arrived(_STEP_S))
    served.requests = list(backend.prepare(prompts, "measured"))
    before = dict(backend.engine_counters())
    for request in served.requests:
        begun_s = time.monotonic()
        backend.submit(request)
        served.sent_s[request.index] = (begun_s, time.monotonic())
    if cancel is not None:
        backend.cancel(cancel)
    take(backend, served, limit_s)
    served.counters = (before, dict(backend.engine_counters()))
    return served


def serve_again(backend: ServingBackend, prompts: Sequence[Prompt], limit_s: float) -> Served:
    """Send each prompt's request twice under indices of its own, as a load does.

    Returns:
        What was handed over for those that were sent for the second time.
    """
    served = Served({prompt.index: prompt for prompt in prompts})
    made = [*backend.prepare(prompts, "measured")] * 2
    served.requests = [replace(request, index=index) for index, request in enumerate(made)]
    for request in served.requests:
        backend.submit(request)
    take(backend, served, limit_s)
    second = len(prompts)
    served.arrivals = [(time_s, a) for time_s, a in served.arrivals if a.index >= second]
    return served


def take(backend: ServingBackend, served: Served, limit_s: float) -> None:
    """Take what arrives until as many requests are over as were submitted."""
    heard_s = time.monotonic()
    while len(served.outputs) < len(served.requests):
        found = list(backend.arrived(_STEP_S))
        now_s = time.monotonic()
        served.arrivals += [(now_s, arrival) for arrival in found]
        if found:
            heard_s = now_s
        elif now_s - heard_s > limit_s:
            over = {output.index for output in served.outputs}
            left = [request.index for request in served.requests if request.index not in over]
            breach(f"nothing has arrived for {limit_s:g} s, and requests {left} are not over")
    # What else comes is too much.
    served.arrivals += [(time.monotonic(), arrival) for arrival in backend.arrived(_STEP_S)]
