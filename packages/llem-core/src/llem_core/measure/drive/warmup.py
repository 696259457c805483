"""Warm-up: repeats the largest batch until its latency has converged or a cap is reached."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from llem_core.config.warmup import WarmupConfig
from llem_core.contracts.backend import InferenceBackend
from llem_core.contracts.workload import Batch
from llem_core.results.process import WarmupResult

Progress = Callable[[float, float, str], None]


def warm_up(
    backend: InferenceBackend,
    batches: Sequence[Batch],
    settings: WarmupConfig,
    progress: Progress,
) -> WarmupResult:
    """Run in the backend.

    The batch with the most padded prompt positions is run again and again: the same work each
    time makes the latencies comparable, and the largest one makes the allocator reserve what
    the measurement needs. The latency is the time of the batch over its longest output.
    """
    batch = max(batches, key=lambda candidate: candidate.padded_tokens)
    most = max(settings.max_prompts, settings.n_warmup)
    target = most if settings.convergence_detection else settings.n_warmup
    latencies_s: list[float] = []
    started_s = time.monotonic()
    converged = False
    while len(latencies_s) < target and not converged:
        latencies_s.append(_one(backend, batch))
        progress(len(latencies_s), target, "batches")
        enough = len(latencies_s) >= settings.n_warmup
        converged = settings.convergence_detection and enough and _steady(latencies_s, settings)
    return WarmupResult(
        n_batches=len(latencies_s),
        duration_s=time.monotonic() - started_s,
        converged=converged if settings.convergence_detection else None,
        final_cv=_cv(latencies_s[-settings.window_size :]),
        latency_per_token_s=latencies_s,
    )


def _one(backend: InferenceBackend, batch: Batch) -> float:
    backend.synchronise()
    started_s = time.monotonic()
    raw = backend.generate(batch)
    backend.synchronise()
    duration_s = time.monotonic() - started_s
    outputs = backend.collect(batch, raw).requests
    longest = max((request.output_tokens for request in outputs), default=1)
    return duration_s / max(longest, 1)


def _steady(latencies_s: Sequence[float], settings: WarmupConfig) -> bool:
    if len(latencies_s) < settings.window_size:
        return False
    cv = _cv(latencies_s[-settings.window_size :])
    return cv is not None and cv <= settings.cv_threshold


def _cv(values: Sequence[float]) -> float | None:
    """Coefficient of variation: sample standard deviation over mean."""
    mean = math.fsum(values) / len(values) if values else 0.0
    if len(values) < 2 or mean == 0:
        return None
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(variance) / mean
