"""The section ``vllm`` of an experiment file."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from llem_vllm.fields import VllmFields


class VllmConfig(VllmFields):
    """How vLLM runs the model; null is vLLM's own default."""

    @model_validator(mode="after")
    def _options_fit_each_other(self) -> Self:
        if self.enforce_eager and (self.cudagraph_capture_sizes or self.max_cudagraph_capture_size):
            raise ValueError(
                "enforce_eager captures no CUDA graphs, so that cudagraph_capture_sizes and "
                "max_cudagraph_capture_size would have no effect; remove one of them"
            )
        if self.kv_cache_memory_bytes is not None and self.num_gpu_blocks_override is not None:
            raise ValueError(
                "kv_cache_memory_bytes and num_gpu_blocks_override both size the key-value cache; "
                "give one of them"
            )
        if self.distributed_executor_backend == "uni" and self.n_devices > 1:
            raise ValueError(
                "distributed_executor_backend uni is one process, and tensor_parallel_size × "
                f"pipeline_parallel_size asks for {self.n_devices}; take mp"
            )
        if self.spec_tokens is not None and self.spec_method is None and self.spec_model is None:
            raise ValueError(
                "spec_tokens proposes nothing without spec_method or spec_model; give one of them"
            )
        if (
            self.enable_chunked_prefill is False
            and None not in (self.max_num_batched_tokens, self.max_model_len)
            and (self.max_num_batched_tokens or 0) < (self.max_model_len or 0)
        ):
            raise ValueError(
                f"without chunked prefill a step computes a prompt whole: max_num_batched_tokens "
                f"({self.max_num_batched_tokens}) must be max_model_len ({self.max_model_len}) at "
                "the least"
            )
        return self
