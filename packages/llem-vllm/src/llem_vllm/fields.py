"""The fields of the section ``vllm``; each is named as vLLM's own argument."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from llem_core.contracts import BackendSection
from pydantic import Field

Count = Annotated[int, Field(strict=True, ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]


class VllmFields(BackendSection):
    """What may be set, each field for itself; null is vLLM's own default."""

    # where and what is loaded
    load_format: str = Field(
        "auto",
        min_length=1,
        description="`dummy`: the model's shape with random weights; else vLLM's name of a format, "
        "such as `safetensors` or `bitsandbytes`.",
    )
    revision: str | None = Field(None, description="Branch, tag or commit of the model on the hub.")
    code_revision: str | None = Field(
        None, description="Branch, tag or commit of the model's own code on the hub."
    )
    tokenizer_revision: str | None = Field(
        None, description="Branch, tag or commit of the tokenizer; that of the model if not given."
    )
    trust_remote_code: bool = Field(
        False, description="Run code that comes with the model. Only for models that you trust."
    )
    model_impl: Literal["auto", "vllm", "transformers"] | None = Field(
        None, description="Whose implementation of the model runs: vLLM's or transformers'."
    )
    quantization: str | None = Field(
        None, min_length=1, description="Quantisation of the weights, such as `fp8` or `awq`."
    )
    cpu_offload_gb: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Weights kept in the host's memory, for each GPU (GiB)."
    )
    # devices
    tensor_parallel_size: Count = Field(1, description="Devices that share each layer.")
    pipeline_parallel_size: Count = Field(1, description="Groups of devices that share the layers.")
    distributed_executor_backend: Literal["mp", "uni"] | None = Field(
        None, description="`mp`: a process for each device; `uni`: one process."
    )
    enable_expert_parallel: bool | None = Field(
        None, description="Spread a mixture's experts over the devices, not each expert."
    )
    disable_custom_all_reduce: bool | None = Field(
        None, description="Sum over devices with NCCL instead of vLLM's own kernel."
    )
    # length, cache and memory
    max_model_len: Count | None = Field(
        None, description="Most positions of a request, prompt and output together (tokens)."
    )
    gpu_memory_utilization: Share | None = Field(
        None, description="Share of each device's memory that the engine may use (dimensionless)."
    )
    kv_cache_memory_bytes: Count | None = Field(
        None, description="Size of the key-value cache on each device (bytes)."
    )
    num_gpu_blocks_override: Count | None = Field(
        None, description="Blocks of the key-value cache, whatever fits: for trying preemptions."
    )
    kv_cache_dtype: str | None = Field(
        None, min_length=1, description="dtype of the key-value cache, such as `fp8`."
    )
    block_size: Count | None = Field(
        None, description="Positions of a block of the key-value cache (tokens)."
    )
    enable_prefix_caching: bool | None = Field(
        None, description="Keep the beginnings of prompts for later prompts that share them."
    )
    disable_sliding_window: bool | None = Field(
        None, description="Cut the model's length to its sliding window instead of using it."
    )
    # scheduling
    max_num_seqs: Count | None = Field(
        None, description="Requests that are computed together, at the most."
    )
    max_num_batched_tokens: Count | None = Field(
        None, description="Positions that one step computes, at the most (tokens)."
    )
    enable_chunked_prefill: bool | None = Field(
        None, description="Compute long prompts in parts, beside the outputs of others."
    )
    long_prefill_token_threshold: Count | None = Field(
        None, description="A prompt beyond this length is long, for chunked prefill (tokens)."
    )
    async_scheduling: bool | None = Field(
        None, description="Schedule the next step while the device computes this one."
    )
    scheduler_reserve_full_isl: bool | None = Field(
        None, description="Admit a prompt only when the cache has room for all of it."
    )
    # kernels and compilation
    enforce_eager: bool | None = Field(
        None, description="Neither compile the model nor capture CUDA graphs."
    )
    optimization_level: Annotated[int, Field(strict=True, ge=0, le=3)] | None = Field(
        None, description="How much of the start is spent on compiling: 0 (none) to 3."
    )
    performance_mode: Literal["balanced", "interactivity", "throughput"] | None = Field(
        None, description="What vLLM's own defaults favour."
    )
    cudagraph_capture_sizes: tuple[Count, ...] | None = Field(
        None, min_length=1, description="Batch sizes that CUDA graphs are captured for (requests)."
    )
    max_cudagraph_capture_size: Count | None = Field(
        None, description="Largest batch that a CUDA graph is captured for (requests)."
    )
    compilation_config: dict[str, Any] | None = Field(
        None, description="Further settings of vLLM's compilation, by its own names."
    )
    attention_backend: str | None = Field(
        None, min_length=1, description="Attention kernel, such as `FLASH_ATTN` or `FLASHINFER`."
    )
    disable_cascade_attn: bool | None = Field(
        None, description="Do not compute attention to a shared prefix apart."
    )
    moe_backend: str | None = Field(
        None, min_length=1, description="Kernel of a mixture's experts, such as `triton`."
    )
    linear_backend: str | None = Field(
        None, min_length=1, description="Kernel of the matrix products, such as `cutlass`."
    )
    # speculation
    spec_method: str | None = Field(
        None, min_length=1, description="Kind of speculation, such as `ngram` or `eagle3`."
    )
    spec_model: str | None = Field(
        None, min_length=1, description="Hub id or local path of the draft model."
    )
    spec_tokens: Count | None = Field(None, description="Tokens that are proposed at a time.")
    # tokens
    apply_chat_template: bool = Field(
        False, description="Wrap each prompt in the tokenizer's chat template as a user's turn."
    )

    @property
    def speculative(self) -> bool:
        """Whether several tokens may come out of one step."""
        return any(v is not None for v in (self.spec_method, self.spec_model, self.spec_tokens))

    @property
    def n_devices(self) -> int:
        """Devices that it computes on."""
        return self.tensor_parallel_size * self.pipeline_parallel_size
