"""The drive of served loads: vLLM's ``AsyncLLM``, to which requests go one by one."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from llem_core.contracts import (
    Arrival,
    Chunk,
    MemoryReading,
    ModelInfo,
    Prompt,
    Purpose,
    RequestOutput,
    RunFacts,
    ServedRequest,
    ServingBackend,
    Workload,
)
from vllm import TokensPrompt
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from llem_vllm.engine.host import EngineHost, core_pids, take_statistics
from llem_vllm.errors import engine_errors, root_cause
from llem_vllm.prompts import Ready, ready

_CALL_S = 600.0
_CLOSE_S = 30.0


class VllmServingBackend(ServingBackend):
    """Serves requests with an event loop of its own, in a thread."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self._host: EngineHost | None = None
        self._engine: Any = None
        self._loop: Any = None
        self._thread: threading.Thread | None = None
        self._tasks: dict[int, asyncio.Task[RequestOutput]] = {}
        self._came: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self._names = itertools.count()
        self._dead: BaseException | None = None

    def load(self) -> ModelInfo:
        """Start the engine in a process of its own."""
        host = self._host = EngineHost(self.workload)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="llem-vllm", daemon=True)
        self._thread.start()
        self._engine = host.start(lambda arguments: self._call(_make(arguments)))
        take_statistics(self._engine.logger_manager, host.recorder)
        host.describe(self._engine.vllm_config)
        with engine_errors("reading the model's facts", host.printed_at_length):
            workers = self._call(self._engine.collective_rpc("llem_facts"))
        return host.info(workers, core_pids(self._engine.engine_core))

    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[ServedRequest]:
        """Make tokens of the prompts."""
        host, kind = self._loaded, RequestOutputKind.DELTA
        found = ready(self.workload, prompts, host.tokenizer, host.max_model_len, purpose, kind)
        return [ServedRequest(r.index, len(r.ids), r, truncated=r.truncated) for r in found]

    def submit(self, request: ServedRequest) -> None:
        """Hand it to the event loop."""
        if self._dead is not None:
            raise self._loaded.dead(self._dead) from self._dead
        self._loop.call_soon_threadsafe(self._begin, request, time.monotonic())

    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        """Hand over what has come."""
        found: list[Arrival] = []
        try:
            found.append(self._came.get(timeout=timeout_s))
            while True:
                found.append(self._came.get_nowait())
        except queue.Empty:
            pass
        if self._dead is not None or (not found and self._engine.errored):
            error = self._dead or EngineDeadError()
            raise self._loaded.dead(error) from error
        return found

    def cancel(self, index: int) -> None:
        """Have vLLM abort it."""
        self._loop.call_soon_threadsafe(self._abort, index)

    def engine_counters(self) -> Mapping[str, float]:
        """The engine's own counters, of all time."""
        return self._loaded.recorder.counters()

    def reset_peak_memory(self) -> None:
        """Count memory and the engine's figures afresh, with an empty prefix cache."""
        if self._engine is not None:
            with engine_errors("settling", self._loaded.printed_at_length):
                self._call(self._engine.reset_prefix_cache())
                self._call(self._engine.collective_rpc("llem_reset_peak"))
            self._loaded.reset()

    def memory(self) -> MemoryReading:
        """Peak memory of the workers' devices, or of the engine's processes on a CPU."""
        return self._loaded.memory(self._call(self._engine.collective_rpc("llem_peak_bytes")))

    def engine_output(self) -> str:
        """The end of what the engine's processes printed."""
        return "" if self._host is None else self._host.printed()

    def facts(self) -> RunFacts:
        """Preemptions, cache and queue since the load began."""
        return self._loaded.facts()

    def unload(self) -> None:
        """End the requests, the engine's processes and the event loop."""
        host, self._host = self._host, None
        thread, self._thread = self._thread, None
        engine, self._engine = self._engine, None
        if host is not None:
            host.end(lambda: None if engine is None else self._close(engine))
        if thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(_CLOSE_S)

    @property
    def _loaded(self) -> EngineHost:
        assert self._host is not None, "load comes first"
        return self._host

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the event loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_S)

    def _begin(self, request: ServedRequest, sent_s: float) -> None:
        task = self._loop.create_task(self._serve(request, sent_s))
        self._tasks[request.index] = task
        task.add_done_callback(lambda done: self._over(done, request, sent_s))

    def _abort(self, index: int) -> None:
        if index in self._tasks:
            self._tasks[index].cancel()

    async def _serve(self, request: ServedRequest, sent_s: float) -> RequestOutput:
        asked: Ready = request.payload
        times_s: list[float] = []
        ids: list[int] = []
        times: Any = None
        async for output in self._engine.generate(
            TokensPrompt(prompt_token_ids=asked.ids),
            asked.params,
            f"{next(self._names)}",
            lora_request=self._loaded.lora,
        ):
            new = output.outputs[0].token_ids if output.outputs else ()
            if not new:
                continue
            times = output.metrics
            # The engine's own clock, which is this machine's monotonic one.
            time_s = max(sent_s, times.last_token_ts)
            ids += new
            times_s += [time_s] * len(new)
            self._came.put(Chunk(request.index, time_s, len(new)))
        started_s = max(sent_s, times.scheduled_ts) if times is not None else sent_s
        return RequestOutput(
            index=request.index,
            input_tokens=request.input_tokens,
            output_tokens=len(ids),
            started_s=started_s,
            ended_s=times_s[-1] if times_s else time.monotonic(),
            queued_s=None if times is None else max(0.0, times.scheduled_ts - times.queued_ts),
            token_times_s=tuple(times_s),
            token_ids=tuple(ids),
            text=self._loaded.tokenizer.decode(ids),
        )

    def _over(
        self, task: asyncio.Task[RequestOutput], request: ServedRequest, sent_s: float
    ) -> None:
        if self._tasks.get(request.index) is task:
            del self._tasks[request.index]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, EngineDeadError):
            self._dead = error
        if not task.cancelled() and error is None:
            self._came.put(task.result())
            return
        told = "it was cancelled" if error is None else root_cause(error, "")
        self._came.put(
            RequestOutput(
                index=request.index,
                input_tokens=request.input_tokens,
                output_tokens=0,
                started_s=sent_s,
                ended_s=time.monotonic(),
                error=told,
                error_kind="cancelled" if error is None else type(error).__name__,
            )
        )

    def _close(self, engine: Any) -> None:
        async def close() -> None:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(_CLOSE_S)
        engine.shutdown()


async def _make(arguments: Mapping[str, Any]) -> AsyncLLM:
    """Made within the loop, which its tasks belong to."""
    return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
