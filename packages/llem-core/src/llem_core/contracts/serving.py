"""The contract of an engine that serves: requests go in one by one, and answers as they come."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from llem_core.contracts.backend import Backend
from llem_core.contracts.workload import Prompt, Purpose, RequestOutput


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """One request, ready to be sent.

    Attributes:
        index: ``Prompt.index``.
        input_tokens: tokens of the prompt after truncation.
        payload: whatever the backend needs to send it; nobody else looks inside. A load that needs
            more requests than there are prompts submits one again with the same payload and another
            ``index``, which alone tells them apart.
        truncated: whether the prompt was cut to ``max_input_tokens``.
    """

    index: int
    input_tokens: int
    payload: Any
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Output tokens of one request that arrived together.

    Attributes:
        index: ``ServedRequest.index``.
        time_s: when they arrived (monotonic s).
        tokens: how many; ``None`` where the engine does not tell before the end.
    """

    index: int
    time_s: float
    tokens: int | None = None


Arrival: TypeAlias = Chunk | RequestOutput
"""What an engine hands over: a piece of an answer, or a request that is over."""


class ServingBackend(Backend):
    """Serves requests that overlap, as a server does; driven by a load.

    One life with ``InferenceBackend``, and another drive: the constructor, ``load``, ``prepare``,
    then any number of ``submit`` and ``arrived`` in any order, ``memory``, ``facts``, ``unload``.
    All calls come from one thread. The backend receives on threads or an event loop of its own,
    notes the time of each chunk where it arrives, and ends them in ``unload``, which may come
    while requests are in flight.

    Every request that was submitted is handed over exactly once as a ``RequestOutput``, a failed
    or cancelled one with its ``error``; its chunks come before it. ``started_s`` is when it was
    sent, where the engine does not tell when it began.

    A whole plugin::

        import queue, threading, time

        from llem_core.contracts import (
            BackendSection, BackendSpec, CheckReport, Chunk, DeviceInfo, ModelInfo,
            RequestOutput, ServedRequest, ServingBackend, hookimpl,
        )

        LLEM_CONTRACT = 2

        class ParrotConfig(BackendSection):
            pass

        class ParrotBackend(ServingBackend):
            def __init__(self, workload):
                super().__init__(workload)
                self.sent, self.came = queue.SimpleQueue(), queue.SimpleQueue()
                self.cancelled, self.engine = set(), None

            def load(self):
                self.engine = threading.Thread(target=self.serve)
                self.engine.start()
                return ModelInfo(
                    parameters=None,
                    parameters_non_embedding=None,
                    devices=(DeviceInfo("cpu", "cpu"),),
                )

            def prepare(self, prompts, purpose):
                return [self.request(prompt) for prompt in prompts]

            def request(self, prompt):
                words = (prompt.text or "word " * (prompt.synthetic_tokens or 0)).split()
                kept = words[: self.workload.max_input_tokens]
                return ServedRequest(
                    prompt.index, len(kept), (kept, prompt.max_new_tokens),
                    truncated=len(kept) < len(words),
                )

            def submit(self, request):
                self.sent.put((request, time.monotonic()))

            def arrived(self, timeout_s):
                found = []
                try:
                    found.append(self.came.get(timeout=timeout_s))
                    while True:
                        found.append(self.came.get_nowait())
                except queue.Empty:
                    return found

            def cancel(self, index):
                self.cancelled.add(index)

            def unload(self):
                engine, self.engine = self.engine, None
                if engine is not None:
                    self.sent.put(None)
                    engine.join()

            def serve(self):
                while (sent := self.sent.get()) is not None:
                    request, sent_s = sent
                    words, limit = request.payload
                    times_s, error = [], None
                    if request.index in self.cancelled:
                        error = "cancelled"
                    for _ in range(0 if error else limit):
                        times_s.append(time.monotonic())
                        self.came.put(Chunk(request.index, times_s[-1], tokens=1))
                    self.came.put(RequestOutput(
                        index=request.index, input_tokens=request.input_tokens,
                        output_tokens=len(times_s), started_s=sent_s,
                        ended_s=times_s[-1] if times_s else time.monotonic(),
                        token_times_s=tuple(times_s), error=error,
                    ))

        @hookimpl
        def llem_backends():
            return [BackendSpec(
                name="parrot", summary="Serves words.", section=ParrotConfig,
                create=ParrotBackend, check=lambda workload: CheckReport(), serves=True,
            )]
    """

    @abstractmethod
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[ServedRequest]:
        """Make each prompt a request that is ready to be sent; called outside of windows.

        Args:
            prompts: the requests.
            purpose: what they will be run for; see ``InferenceBackend.prepare``.
        """

    @abstractmethod
    def submit(self, request: ServedRequest) -> None:
        """Send one request and return at once, without waiting for any of its answer.

        Raises:
            BackendError: the engine takes no requests any more. One request that fails is not
                raised but handed over with its ``error``.
        """

    @abstractmethod
    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        """Hand over what has arrived since the last call, in the order of its arrival.

        It waits for the first arrival, asleep, and returns nothing after ``timeout_s`` seconds.

        Raises:
            BackendError: the engine has died; its requests will never end.
        """

    def engine_counters(self) -> Mapping[str, float]:
        """Counters that the engine keeps by itself, read outside of windows.

        ``output_tokens`` are all tokens that it has ever generated: their difference over the run
        stands beside the client's own count. Other names are kept as they are. Empty where the
        engine tells nothing.
        """
        return {}

    @abstractmethod
    def cancel(self, index: int) -> None:
        """Give up a request: it is handed over soon, with an ``error``; harmless if it is over."""
