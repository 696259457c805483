"""Drives an engine that serves as one that takes batches: all requests at once, then their end."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.contracts.backend import (
    Backend,
    InferenceBackend,
    MemoryReading,
    ModelInfo,
    RunFacts,
)
from llem_core.contracts.serving import ServedRequest, ServingBackend
from llem_core.contracts.workload import Batch, BatchOutput, Prompt, Purpose, RequestOutput
from llem_core.errors import BackendError

_WAIT_S = 1.0
_AFTER_CANCEL_S = 30.0
_WARMUP_REQUESTS = 8


def as_batches(backend: Backend, request_timeout_s: float | None = None) -> InferenceBackend:
    """The backend, in the form that the drive of batches takes.

    Args:
        backend: of either class.
        request_timeout_s: see ``ServedBatches``.

    Raises:
        BackendError: it is of neither class that the contract has.
    """
    if isinstance(backend, InferenceBackend):
        return backend
    if isinstance(backend, ServingBackend):
        return ServedBatches(backend, request_timeout_s)
    raise BackendError(
        f"the backend's `create` gives {type(backend).__name__}, which is neither an "
        "InferenceBackend nor a ServingBackend of llem_core.contracts; derive it from one of them"
    )


@dataclass(frozen=True, slots=True)
class _Payload:
    requests: tuple[ServedRequest, ...]


class ServedBatches(InferenceBackend):
    """One batch of all prompts: they are submitted together, and the engine schedules them.

    Args:
        served: the engine that serves.
        request_timeout_s: after which requests are given up (s); never if ``None``.
    """

    def __init__(self, served: ServingBackend, request_timeout_s: float | None = None) -> None:
        super().__init__(served.workload)
        self._served = served
        self._timeout_s = request_timeout_s

    @property
    def served(self) -> ServingBackend:
        """The engine."""
        return self._served

    def load(self) -> ModelInfo:
        """Load the engine's model."""
        return self._served.load()

    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        """All prompts as one batch."""
        requests = tuple(self._served.prepare(prompts, purpose))
        return [_batch(requests)] if requests else []

    def warmup_batches(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """A few requests of the batch: the whole data set is not run again and again."""
        payload = batches[0].payload
        assert isinstance(payload, _Payload)
        return (_batch(payload.requests[:_WARMUP_REQUESTS]),)

    def generate(self, batch: Batch) -> dict[int, RequestOutput]:
        """Submit all requests, and wait until each is over."""
        payload = batch.payload
        assert isinstance(payload, _Payload)
        outputs = dict[int, RequestOutput]()
        for request in payload.requests:
            self._served.submit(request)
        self._await(batch, outputs, self._timeout_s)
        for index in set(batch.indices) - outputs.keys():
            self._served.cancel(index)
        self._await(batch, outputs, _AFTER_CANCEL_S)
        return outputs

    def _await(
        self, batch: Batch, outputs: dict[int, RequestOutput], timeout_s: float | None
    ) -> None:
        """Take outputs until each request has one, or for so long (s)."""
        until_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while len(outputs) < len(batch.indices) and (left_s := until_s - time.monotonic()) > 0:
            for arrival in self._served.arrived(min(left_s, _WAIT_S)):
                if isinstance(arrival, RequestOutput):
                    outputs[arrival.index] = arrival

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        """The requests in the order of the batch."""
        assert isinstance(raw, dict)
        missing = [index for index in batch.indices if index not in raw]
        if missing:
            raise BackendError(
                f"the backend did not hand over the requests {missing}; this is a mistake in its "
                "`arrived` or its `cancel`"
            )
        requests = tuple(raw[index] for index in batch.indices)
        timeless = any(r.token_times_s is None and r.error is None for r in requests)
        reason = "the engine does not tell when each token was there" if timeless else None
        return BatchOutput(requests, times_missing_reason=reason)

    def reset_peak_memory(self) -> None:
        """Start counting peak memory afresh."""
        self._served.reset_peak_memory()

    def memory(self) -> MemoryReading:
        """Peak memory of the engine."""
        return self._served.memory()

    def engine_output(self) -> str:
        """What the engine's processes printed last."""
        return self._served.engine_output()

    def facts(self) -> RunFacts:
        """What the engine knows of the window."""
        return self._served.facts()

    def unload(self) -> None:
        """End the engine."""
        self._served.unload()


def _batch(requests: tuple[ServedRequest, ...]) -> Batch:
    return Batch(
        indices=tuple(request.index for request in requests),
        input_tokens=tuple(request.input_tokens for request in requests),
        payload=_Payload(requests),
        padded_tokens=sum(request.input_tokens for request in requests),
        truncated=sum(request.truncated for request in requests),
    )
