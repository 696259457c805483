"""Drives one backend through its life in this process.

Whatever the backend raises becomes one of the project's own errors here."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import InferenceBackend, ModelInfo
from llem_core.contracts.workload import Batch, BatchOutput, Prompt, RequestOutput
from llem_core.errors import BackendError, LLEMError
from llem_core.measure.drive.served import as_batches
from llem_core.measure.drive.warmup import Progress, WarmupPlan, plan_warmup, warm_up
from llem_core.measure.drive.window import WindowRun, run_batches, settle
from llem_core.plugins import plugins
from llem_core.results.process import ProcessResult, RequestRecord, WarmupResult

_CLOCK_SLACK_S = 0.1
"""How far a device's clock may stray from the host's over a window (s)."""

MOST_FAILED = 0.05
"""Share of the requests that may fail before the run does."""

Services: TypeAlias = Mapping[str, Mapping[str, Any]]


@contextlib.contextmanager
def backend_errors(doing: str) -> Iterator[None]:
    """Within the block, a foreign exception becomes a ``BackendError``.

    Args:
        doing: what the backend was asked for, for the message.
    """
    try:
        yield
    except LLEMError:
        raise
    # A backend is foreign code and may raise anything.
    except Exception as error:
        raise BackendError(
            f"the backend failed while {doing}: {type(error).__name__}: {error}"
        ) from error


class Engine(Protocol):
    """One experiment's backend, whether it runs in this process or in several."""

    def load(self) -> list[ModelInfo]:
        """Load the model in every process."""

    def prepare(self) -> None:
        """Make batches of the prompts."""

    def warm_up(self, progress: Progress) -> None:
        """Run in, if asked for."""

    def run_unmeasured(self) -> None:
        """Run one batch of the warm-up again, if there was one."""

    def settle(self) -> None:
        """Become idle, just before a window is opened."""

    def run(self) -> None:
        """The measured window: generate everything; idle devices at both edges."""

    def collect(self) -> list[ProcessResult]:
        """Read out what ``run`` did, a result a process."""

    def run_prefill(self, passes: int) -> None:
        """Process all prompts for their first token only, so many times over."""

    def prepare_prefill(self) -> None:
        """Make the batches of ``run_prefill``."""

    def output_tail(self) -> str:
        """The end of what the engine's own processes printed."""

    def unload(self) -> None:
        """Free everything; harmless at any moment."""


class LocalEngine:
    """One backend in this process, with its share of the prompts.

    Args:
        config: the experiment.
        prompts: this process's share.
        rank, world_size: which of how many processes this is.
        services: of the study; see ``Workload.services``.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        prompts: Sequence[Prompt],
        rank: int = 0,
        world_size: int = 1,
        services: Services | None = None,
    ) -> None:
        self._services = services or {}
        self._config = config
        self._prompts = prompts
        self._rank = rank
        self._world_size = world_size
        self._backend: InferenceBackend | None = None
        self._info: ModelInfo | None = None
        self._batches: Sequence[Batch] = ()
        self._prefill_batches: Sequence[Batch] = ()
        self._warmup_plan: WarmupPlan | None = None
        self._warmup: WarmupResult | None = None
        self._run: WindowRun | None = None
        self.log = ""
        """What the engine's own processes had printed when its outputs were read."""

    def load(self) -> list[ModelInfo]:
        """Make the backend and load its model."""
        spec = plugins().backends.get(self._config.backend)
        with backend_errors("loading the model"):
            workload = self._config.workload(self._rank, self._world_size)
            workload = replace(workload, services=self._services)
            load = self._config.load
            timeout_s = load.request_timeout_seconds if load.serves else None
            self._backend = as_batches(spec.create(workload), timeout_s)
            self._info = self._backend.load()
        return [self._info]

    def prepare(self) -> None:
        """Make batches of the prompts, see that each prompt is in one, and plan the warm-up."""
        with backend_errors("preparing the prompts"):
            self._batches = self._loaded.prepare(self._prompts, "measured")
        _check_batches(self._batches, self._prompts)
        if self._config.warmup.enabled and self._batches:
            with backend_errors("preparing the warm-up"):
                self._warmup_plan = plan_warmup(
                    self._loaded, self._batches, self._prompts, self._config.random_seed
                )

    def prepare_prefill(self) -> None:
        """Make batches that end with the first token."""
        shortened = [replace(p, max_new_tokens=1, exact_output=True) for p in self._prompts]
        with backend_errors("preparing the prefill pass"):
            self._prefill_batches = self._loaded.prepare(shortened, "phase")

    def warm_up(self, progress: Progress) -> None:
        """Run in, if asked for."""
        plan = self._warmup_plan
        if plan is not None:
            with backend_errors("warming up"):
                self._warmup = warm_up(self._loaded, plan, self._config.warmup, progress)

    def run_unmeasured(self) -> None:
        """Run one batch of the warm-up again, if there was one."""
        if self._warmup_plan is not None:
            with backend_errors("warming up"):
                run_batches(self._loaded, [self._warmup_plan.repeated])

    def settle(self) -> None:
        """Become idle, and count peak memory from here on."""
        self._warmup_plan = None  # its batches lie on the device
        with backend_errors("settling"):
            settle(self._loaded)

    def run(self) -> None:
        """Generate all batches once."""
        with backend_errors("generating"):
            self._run = run_batches(self._loaded, self._batches)

    def run_prefill(self, passes: int) -> None:
        """Run the prefill batches, so many times over."""
        with backend_errors("generating first tokens"):
            for _ in range(passes):
                run_batches(self._loaded, self._prefill_batches)

    def collect(self) -> list[ProcessResult]:
        """Read memory, counts and times of the last ``run``."""
        run, backend = self._run, self._loaded
        assert run is not None
        with backend_errors("reading the outputs"):
            memory = backend.memory()
            outputs = [
                backend.collect(batch, raw)
                for batch, raw in zip(self._batches, run.raw, strict=True)
            ]
            facts = backend.facts()
        self.log = facts.log
        return [
            ProcessResult(
                rank=self._rank,
                pid=os.getpid(),
                started_s=run.started_s,
                ended_s=run.ended_s,
                n_batches=len(self._batches),
                padded_tokens=sum(batch.padded_tokens for batch in self._batches),
                truncated=sum(batch.truncated for batch in self._batches),
                requests=_records(self._batches, outputs, run),
                times_missing_reason=next(
                    (o.times_missing_reason for o in outputs if o.times_missing_reason), None
                ),
                weights_bytes=self._info.weights_bytes if self._info else None,
                peak_memory_bytes=memory.peak_bytes,
                memory_source=memory.source,
                memory_reason=memory.reason,
                warmup=self._warmup,
                facts=facts.values,
                notes=list(facts.notes),
            )
        ]

    def output_tail(self) -> str:
        """The end of what the engine's own processes printed, as far as the backend tells."""
        return "" if self._backend is None else self._backend.engine_output()

    def unload(self) -> None:
        """Free the model; harmless when it was never loaded."""
        backend, self._backend = self._backend, None
        self._batches = self._prefill_batches = ()
        self._warmup_plan = None
        self._run = None
        if backend is not None:
            with backend_errors("unloading the model"):
                backend.unload()

    @property
    def _loaded(self) -> InferenceBackend:
        assert self._backend is not None, "load comes first"
        return self._backend


def reject_failures(processes: Sequence[ProcessResult]) -> None:
    """See that enough requests were finished for the figures to speak of the workload.

    Under a load, those are looked at that were due in its window.

    Raises:
        BackendError: more than ``MOST_FAILED`` of them failed.
    """
    every = [request for process in processes for request in process.requests]
    requests = [request for request in every if request.in_window is not False]
    failed = [request for request in requests if request.error is not None]
    if len(failed) > MOST_FAILED * len(requests):
        raise BackendError(
            f"{len(failed)} of {len(requests)} requests failed, and {MOST_FAILED:.0%} may; the "
            f"first, request {failed[0].index}: {failed[0].error}"
        )


def _check_batches(batches: Sequence[Batch], prompts: Sequence[Prompt]) -> None:
    given = sorted(prompt.index for prompt in prompts)
    if sorted(index for batch in batches for index in batch.indices) != given:
        raise BackendError(
            "the backend's batches do not hold every prompt exactly once; "
            "this is a mistake in the backend's `prepare`"
        )


def _records(
    batches: Sequence[Batch], outputs: Sequence[BatchOutput], run: WindowRun
) -> list[RequestRecord]:
    records = []
    for number, (batch, output) in enumerate(zip(batches, outputs, strict=True)):
        by_index = {request.index: request for request in output.requests}
        for index in batch.indices:
            if index not in by_index:
                raise BackendError(f"the backend returned no output for request {index}")
            records.append(_record(by_index[index], number, run))
    return records


def _record(request: RequestOutput, batch: int, run: WindowRun) -> RequestRecord:
    earliest_s, latest_s = run.started_s - _CLOCK_SLACK_S, run.ended_s + _CLOCK_SLACK_S
    if not earliest_s <= request.started_s <= request.ended_s <= latest_s:
        raise BackendError(
            f"the backend says that request {request.index} ran from {request.started_s:.3f} to "
            f"{request.ended_s:.3f} s, and it was given from {run.started_s:.3f} to "
            f"{run.ended_s:.3f} s; a RequestOutput's times are those of time.monotonic()"
        )
    times = request.token_times_s
    first_s = request.first_token_s
    return RequestRecord(
        index=request.index,
        batch=batch,
        input_tokens=request.input_tokens,
        output_tokens=request.output_tokens,
        started_s=request.started_s,
        ended_s=request.ended_s,
        queued_s=request.queued_s,
        first_token_s=times[0] if times and first_s is None else first_s,
        token_times_s=None if times is None else list(times),
        token_ids=list(request.token_ids),
        text=request.text,
        error=request.error,
        error_kind=(request.error_kind or "error") if request.error is not None else None,
    )
