"""The drive of batches: ``LLM.generate`` over the whole list, which vLLM schedules."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llem_core.contracts import (
    Batch,
    BatchOutput,
    InferenceBackend,
    MemoryReading,
    ModelInfo,
    Prompt,
    Purpose,
    RequestOutput,
    RunFacts,
    Workload,
)
from vllm import LLM, SamplingParams, TokensPrompt
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.exceptions import EngineDeadError

from llem_vllm.engine.host import EngineHost, core_pids, take_statistics
from llem_vllm.errors import engine_errors
from llem_vllm.prompts import Ready, ready

_REPEATED = 8
_TIMES = "vLLM notes when a request's first and last token were there, and none between"


@dataclass(frozen=True, slots=True)
class _Payload:
    """What ``LLM.generate`` takes, and the requests that it was made of."""

    requests: tuple[Ready, ...]
    prompts: list[TokensPrompt]
    params: list[SamplingParams]


class VllmBatchBackend(InferenceBackend):
    """Runs all prompts in one call, with vLLM's continuous batching."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self._host: EngineHost | None = None
        self._llm: Any = None

    def load(self) -> ModelInfo:
        """Start the engine in a process of its own."""
        host = self._host = EngineHost(self.workload)
        self._llm = host.start(lambda arguments: LLM(**arguments))
        engine = self._llm.llm_engine
        take_statistics(engine.logger_manager, host.recorder)
        host.describe(engine.vllm_config)
        with engine_errors("reading the model's facts", host.printed):
            workers = self._llm.collective_rpc("llem_facts")
        return host.info(workers, core_pids(engine.engine_core))

    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        """All prompts as one batch of tokens."""
        host = self._loaded
        kind = RequestOutputKind.FINAL_ONLY
        found = ready(self.workload, prompts, host.tokenizer, host.max_model_len, purpose, kind)
        return [_batch(tuple(found))] if found else []

    def warmup_batches(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """A few requests again and again, and as many as are computed together once."""
        requests = batches[0].payload.requests
        together = int(self._llm.llm_engine.vllm_config.scheduler_config.max_num_seqs)
        few, many = _batch(requests[:_REPEATED]), _batch(requests[:together])
        return (few, many) if len(many.indices) > len(few.indices) else (few,)

    def generate(self, batch: Batch) -> list[Any]:
        """One call of ``LLM.generate``."""
        payload: _Payload = batch.payload
        try:
            return list(
                self._llm.generate(
                    payload.prompts,
                    payload.params,
                    use_tqdm=False,
                    lora_request=self._loaded.lora,
                )
            )
        except EngineDeadError as error:
            raise self._loaded.dead(error) from error
        # vLLM raises many kinds; the message is in what it says or in what its process printed.
        except Exception as error:
            with engine_errors("generating", self._loaded.printed):
                raise
            raise AssertionError from error

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        """Counts, and the engine's own times."""
        assert isinstance(raw, list)
        requests = zip(batch.payload.requests, raw, strict=True)
        return BatchOutput(
            tuple(self._output(request, output) for request, output in requests),
            times_missing_reason=_TIMES,
        )

    def reset_peak_memory(self) -> None:
        """Count memory and the engine's figures afresh, with an empty prefix cache."""
        if self._llm is not None:
            self._llm.reset_prefix_cache()
            self._llm.collective_rpc("llem_reset_peak")
            self._loaded.reset()

    def memory(self) -> MemoryReading:
        """Peak memory of the workers' devices, or of the engine's processes on a CPU."""
        return self._loaded.memory(self._llm.collective_rpc("llem_peak_bytes"))

    def engine_output(self) -> str:
        """The end of what the engine's processes printed."""
        return "" if self._host is None else self._host.printed()

    def facts(self) -> RunFacts:
        """Preemptions, cache and queue of the window."""
        return self._loaded.facts()

    def unload(self) -> None:
        """End the engine's processes."""
        host, self._host = self._host, None
        llm, self._llm = self._llm, None
        if host is not None:
            host.end(lambda: None if llm is None else llm.llm_engine.engine_core.shutdown())
            del llm
            gc.collect()

    @property
    def _loaded(self) -> EngineHost:
        assert self._host is not None, "load comes first"
        return self._host

    def _output(self, request: Ready, output: Any) -> RequestOutput:
        ids, times = tuple(output.outputs[0].token_ids), output.metrics
        return RequestOutput(
            index=request.index,
            input_tokens=len(request.ids),
            output_tokens=len(ids),
            started_s=times.scheduled_ts,
            ended_s=times.last_token_ts,
            queued_s=max(0.0, times.scheduled_ts - times.queued_ts),
            first_token_s=times.first_token_ts,
            token_ids=ids,
            text=self._loaded.tokenizer.decode(ids),
        )


def _batch(requests: tuple[Ready, ...]) -> Batch:
    prompts = [TokensPrompt(prompt_token_ids=request.ids) for request in requests]
    payload = _Payload(requests, prompts, [request.params for request in requests])
    return Batch(
        indices=tuple(request.index for request in requests),
        input_tokens=tuple(len(request.ids) for request in requests),
        payload=payload,
        padded_tokens=sum(len(request.ids) for request in requests),
        truncated=sum(request.truncated for request in requests),
    )
