"""Warm-up: repeats one batch until its latency has converged or a limit is reached."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llem_core.config.warmup import WarmupConfig
from llem_core.contracts.backend import InferenceBackend
from llem_core.contracts.workload import Batch, Prompt
from llem_core.errors import BackendError
from llem_core.measure.prompts.alike import Alike, prepare_alike
from llem_core.results.process import WarmupEnd, WarmupResult

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class WarmupPlan:
    """What the warm-up runs.

    Attributes:
        repeated: the batch whose latency has to converge.
        once: what is run before it, once each.
        made: how the prompts of ``repeated`` were made.
    """

    repeated: Batch
    once: tuple[Batch, ...]
    made: Alike


def plan_warmup(
    backend: InferenceBackend, batches: Sequence[Batch], prompts: Sequence[Prompt], seed: int
) -> WarmupPlan:
    """Prepare batches that are like those that the backend wants to be warmed up for.

    Args:
        backend: the backend, loaded.
        batches: the measured ones; one at least.
        prompts: what is in them.
        seed: of the experiment.

    Raises:
        BackendError: it names no batch, or one of unknown prompts.
    """
    by_index = {prompt.index: prompt for prompt in prompts}
    measured = {prompt.text for prompt in prompts if prompt.text is not None}
    made = []
    for batch in backend.warmup_batches(batches):
        if not batch.indices or not set(batch.indices) <= set(by_index):
            raise BackendError(
                "`warmup_batches` gave a batch without prompts, or of prompts that are not "
                "measured; this is a mistake in the backend"
            )
        counts = dict(zip(batch.indices, batch.input_tokens, strict=True))
        like = [by_index[index] for index in batch.indices]
        alike = prepare_alike(
            lambda new: backend.prepare(new, "warmup"), like, counts, measured, seed
        )
        if alike.batches:
            made.append(alike)
    if not made:
        raise BackendError("the backend made no batch to warm up; this is a mistake in it")
    repeated = max(made[0].batches, key=lambda batch: batch.padded_tokens)
    once = (batch for alike in made for batch in alike.batches if batch is not repeated)
    return WarmupPlan(repeated, tuple(once), made[0])


def warm_up(
    backend: InferenceBackend,
    plan: WarmupPlan,
    settings: WarmupConfig,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> WarmupResult:
    """Run in the backend.

    One batch is run again and again: the same work each time makes the latencies comparable.
    The latency is the time of the batch over its longest output.

    Args:
        backend: the backend, loaded.
        plan: what to run.
        settings: how often.
        progress: is told how many of how many batches are done.
        clock: monotonic seconds.

    Raises:
        BackendError: every request of a batch failed.
    """
    started_s = clock()
    latencies_s: list[float] = []
    target = settings.n_warmup
    if settings.convergence_detection:
        target = max(settings.max_prompts, settings.n_warmup)
    for batch in plan.once:
        _run(backend, batch, clock)
    ended_by: WarmupEnd | None = None
    while ended_by is None:
        latencies_s.append(_run(backend, plan.repeated, clock))
        progress(len(latencies_s), target, "batches")
        ended_by = _end(latencies_s, target, clock() - started_s, settings)
    return WarmupResult(
        n_batches=len(plan.once) + len(latencies_s),
        duration_s=clock() - started_s,
        converged=ended_by == "converged" if settings.convergence_detection else None,
        final_cv=_cv(latencies_s[-settings.window_size :]),
        latency_per_token_s=latencies_s,
        ended_by=ended_by,
        prompts=plan.made.how,
        input_tokens=plan.made.input_tokens,
        measured_input_tokens=plan.made.wanted_tokens,
    )


def _run(backend: InferenceBackend, batch: Batch, clock: Callable[[], float]) -> float:
    """Seconds per token of the longest output."""
    backend.synchronise()
    started_s = clock()
    raw = backend.generate(batch)
    backend.synchronise()
    duration_s = clock() - started_s
    outputs = backend.collect(batch, raw).requests
    if outputs and all(output.error is not None for output in outputs):
        raise BackendError(
            f"all {len(outputs)} requests of a warm-up batch failed; the first: {outputs[0].error}"
        )
    longest = max((request.output_tokens for request in outputs), default=1)
    return duration_s / max(longest, 1)


def _end(
    latencies_s: Sequence[float], target: int, elapsed_s: float, settings: WarmupConfig
) -> WarmupEnd | None:
    """Why no further batch is needed, or allowed; ``None`` where one is."""
    detecting, n = settings.convergence_detection, len(latencies_s)
    if detecting and n >= settings.n_warmup and _steady(latencies_s, settings):
        return "converged"
    if n >= target:
        return "max_prompts" if detecting else "n_warmup"
    return "max_seconds" if elapsed_s >= settings.max_seconds else None


def _steady(latencies_s: Sequence[float], settings: WarmupConfig) -> bool:
    if len(latencies_s) < settings.window_size:
        return False
    cv = _cv(latencies_s[-settings.window_size :])
    return cv is not None and cv <= settings.cv_threshold


def _cv(values: Sequence[float]) -> float | None:
    """Coefficient of variation: sample standard deviation over mean."""
    if len(values) < 2 or (mean := statistics.fmean(values)) == 0:
        return None
    return statistics.stdev(values) / mean
