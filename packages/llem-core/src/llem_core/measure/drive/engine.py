"""Drives one backend through its life in this process.

Whatever the backend raises becomes one of the project's own errors here."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import InferenceBackend, ModelInfo
from llem_core.contracts.workload import Batch, BatchOutput, Prompt
from llem_core.errors import BackendError, LLEMError
from llem_core.measure.drive.warmup import Progress, warm_up
from llem_core.measure.drive.window import WindowRun, run_batches, settle
from llem_core.plugins import plugins
from llem_core.results.process import ProcessResult, RequestRecord, WarmupResult


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

    def unload(self) -> None:
        """Free everything; harmless at any moment."""


class LocalEngine:
    """One backend in this process, with its share of the prompts.

    Args:
        config: the experiment.
        prompts: this process's share.
        rank, world_size: which of how many processes this is.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        prompts: Sequence[Prompt],
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._config = config
        self._prompts = prompts
        self._rank = rank
        self._world_size = world_size
        self._backend: InferenceBackend | None = None
        self._info: ModelInfo | None = None
        self._batches: Sequence[Batch] = ()
        self._prefill_batches: Sequence[Batch] = ()
        self._warmup: WarmupResult | None = None
        self._run: WindowRun | None = None

    def load(self) -> list[ModelInfo]:
        """Make the backend and load its model."""
        spec = plugins().backends.get(self._config.backend)
        with backend_errors("loading the model"):
            self._backend = spec.create(self._config.workload(self._rank, self._world_size))
            self._info = self._backend.load()
        return [self._info]

    def prepare(self) -> None:
        """Make batches of the prompts, and see that each prompt is in one."""
        with backend_errors("preparing the prompts"):
            self._batches = self._loaded.prepare(self._prompts)
        _check_batches(self._batches, self._prompts)

    def prepare_prefill(self) -> None:
        """Make batches that end with the first token."""
        shortened = [replace(p, max_new_tokens=1, exact_output=True) for p in self._prompts]
        with backend_errors("preparing the prefill pass"):
            self._prefill_batches = self._loaded.prepare(shortened)

    def warm_up(self, progress: Progress) -> None:
        """Run in, if asked for."""
        if self._config.warmup.enabled and self._batches:
            with backend_errors("warming up"):
                self._warmup = warm_up(self._loaded, self._batches, self._config.warmup, progress)

    def settle(self) -> None:
        """Become idle, and count peak memory from here on."""
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
            )
        ]

    def unload(self) -> None:
        """Free the model; harmless when it was never loaded."""
        backend, self._backend = self._backend, None
        self._batches = self._prefill_batches = ()
        self._run = None
        if backend is not None:
            with backend_errors("unloading the model"):
                backend.unload()

    @property
    def _loaded(self) -> InferenceBackend:
        assert self._backend is not None, "load comes first"
        return self._backend


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
    for number, (batch, output, mark) in enumerate(zip(batches, outputs, run.marks, strict=True)):
        by_index = {request.index: request for request in output.requests}
        for index, input_tokens in zip(batch.indices, batch.input_tokens, strict=True):
            if index not in by_index:
                raise BackendError(f"the backend returned no output for request {index}")
            request = by_index[index]
            times = request.token_times_s
            last_s = max((t[-1] for r in output.requests if (t := r.token_times_s)), default=0.0)
            records.append(
                RequestRecord(
                    index=index,
                    batch=number,
                    input_tokens=input_tokens,
                    output_tokens=request.output_tokens,
                    started_s=mark[0],
                    # generate may return before its device is done: the last token tells.
                    ended_s=min(max(mark[1], mark[0] + last_s), run.ended_s),
                    token_times_s=None if times is None else list(times),
                    token_ids=list(request.token_ids),
                    text=request.text,
                )
            )
    return records
