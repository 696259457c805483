"""Pools the raw results of data-parallel processes; never averages averages."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llem_core.errors import ExperimentError
from llem_core.results.latency import LatencyStatistics, latency_statistics
from llem_core.results.process import ProcessResult, RequestRecord


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Figures of one experiment over all its processes.

    Attributes:
        started_s, ended_s: first start and last end of any process (monotonic s).
        input_tokens, output_tokens: sums over all finished requests.
        requests: the finished requests, by index.
        failed: those that ended with an error, by index; in none of the figures.
        queue_time: waiting in the engine before it began a request.
        time_to_first_token: from the engine's start of a request to its first token.
        inter_token_latency: times between consecutive tokens of one request, pooled.
        time_per_output_token: of each request, (last − first token) / (tokens − 1).
        end_to_end_latency: from the engine's start of a request to its last token.
        times_missing_reason: why latencies by token are ``None``.
        weights_bytes, peak_memory_bytes: sums; ``None`` if any process has none.
        memory_reason: why ``peak_memory_bytes`` is ``None``.
    """

    started_s: float
    ended_s: float
    input_tokens: int
    output_tokens: int
    padded_tokens: int
    truncated: int
    requests: tuple[RequestRecord, ...]
    failed: tuple[RequestRecord, ...]
    queue_time: LatencyStatistics | None
    time_to_first_token: LatencyStatistics | None
    inter_token_latency: LatencyStatistics | None
    time_per_output_token: LatencyStatistics | None
    end_to_end_latency: LatencyStatistics | None
    times_missing_reason: str | None
    weights_bytes: int | None
    peak_memory_bytes: int | None
    memory_reason: str | None

    @property
    def duration_s(self) -> float:
        """Length of the window over all processes (s)."""
        return self.ended_s - self.started_s


def aggregate_results(processes: Sequence[ProcessResult]) -> Aggregate:
    """Pool the raw results of one experiment's processes.

    Raises:
        ExperimentError: there is none, or two processes ran the same request.
    """
    if not processes:
        raise ExperimentError("there are no process results to aggregate; did any process run?")
    every = sorted((r for p in processes for r in p.requests), key=lambda r: r.index)
    indices = [request.index for request in every]
    if len(set(indices)) != len(indices):
        raise ExperimentError("two processes ran the same request; their shares overlap")
    requests = [r for r in every if r.error is None]
    missing = next((p.times_missing_reason for p in processes if p.times_missing_reason), None)
    if missing is None and not any(r.output_tokens for r in requests):
        missing = "no request has an output token"
    memory_reason = next((p.memory_reason for p in processes if p.memory_reason), None)
    return Aggregate(
        started_s=min(p.started_s for p in processes),
        ended_s=max(p.ended_s for p in processes),
        input_tokens=sum(r.input_tokens for r in requests),
        output_tokens=sum(r.output_tokens for r in requests),
        padded_tokens=sum(p.padded_tokens for p in processes),
        truncated=sum(p.truncated for p in processes),
        requests=tuple(requests),
        failed=tuple(r for r in every if r.error is not None),
        **latencies(requests),
        times_missing_reason=missing,
        weights_bytes=_sum(p.weights_bytes for p in processes),
        peak_memory_bytes=_sum(p.peak_memory_bytes for p in processes),
        memory_reason=memory_reason,
    )


def latencies(requests: Sequence[RequestRecord]) -> dict[str, LatencyStatistics | None]:
    """The latencies of an ``Aggregate`` by name, pooled over finished requests."""
    return {
        "queue_time": _statistics(r.queued_s for r in requests),
        "time_to_first_token": _statistics(r.time_to_first_token_s for r in requests),
        "inter_token_latency": latency_statistics(_inter_token_times(requests)),
        "time_per_output_token": _statistics(r.time_per_output_token_s for r in requests),
        "end_to_end_latency": latency_statistics(r.end_to_end_s for r in requests),
    }


def _statistics(samples_s: Iterable[float | None]) -> LatencyStatistics | None:
    return latency_statistics(sample for sample in samples_s if sample is not None)


def _inter_token_times(requests: Iterable[RequestRecord]) -> Iterable[float]:
    for request in requests:
        times = request.token_times_s or []
        for earlier, later in itertools.pairwise(times):
            yield later - earlier


def _sum(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
