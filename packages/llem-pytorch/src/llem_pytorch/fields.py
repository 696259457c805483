"""The fields of the section ``pytorch``."""

from __future__ import annotations

from typing import Annotated, Literal

from llem_core.contracts import BackendSection
from pydantic import Field

Count = Annotated[int, Field(strict=True, ge=1)]
CompileMode = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]


class PyTorchFields(BackendSection):
    """What may be set, each field for itself."""

    # batches and processes
    batch_size: Count = Field(1, description="Prompts that are generated together, at the most.")
    batching: Literal["static", "dynamic"] = Field(
        "static",
        description="`static`: prompts in their order; `dynamic`: prompts of like length together, "
        "as many as fit into max_batch_tokens, batch_size at the most.",
    )
    max_batch_tokens: Count | None = Field(
        None, description="Dynamic batching: prompt tokens of a batch, padding included."
    )
    num_processes: Count = Field(
        1, description="Data-parallel processes; each has the model and a share of the prompts."
    )
    # where and what is loaded
    device: str | None = Field(
        None,
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="`cpu`, `cuda`, `cuda:<index>` or `auto` (a GPU if there is one).",
    )
    device_map: str | dict[str, int | str] | None = Field(
        None, description="Placement of the layers (accelerate), such as `auto` or `balanced`."
    )
    max_memory: dict[int | str, str] | None = Field(
        None, description="Memory by device for device_map, such as `{0: 20GiB, cpu: 64GiB}`."
    )
    offload_folder: str | None = Field(
        None, description="Folder for the layers that device_map puts on disk."
    )
    load_format: Literal["auto", "dummy"] = Field(
        "auto", description="`dummy`: the model's shape with random weights."
    )
    revision: str | None = Field(None, description="Branch, tag or commit of the model on the hub.")
    subfolder: str | None = Field(None, description="Folder of the model within its repository.")
    variant: str | None = Field(None, description="Variant of the weight files, such as `fp16`.")
    use_safetensors: bool | None = Field(None, description="true: safetensors only; false: never.")
    gguf_file: str | None = Field(
        None, description="GGUF file within the model's folder; its weights are dequantised."
    )
    trust_remote_code: bool = Field(
        False, description="Run code that comes with the model. Only for models that you trust."
    )
    # kernels
    attn_implementation: str | None = Field(
        None,
        description="Attention kernel: `eager`, `sdpa`, `flash_attention_2`, `flex_attention`, …",
    )
    experts_implementation: str | None = Field(
        None, description="Kernel of a mixture's experts, such as `eager` or `grouped_mm`."
    )
    torch_compile: bool | CompileMode | None = Field(
        None, description="Compile the model's forward pass; true is the mode `default`."
    )
    compile_fullgraph: bool | None = Field(
        None, description="torch.compile: fail rather than split the graph."
    )
    compile_dynamic: bool | None = Field(
        None, description="torch.compile: compile for shapes that vary."
    )
    matmul_precision: Literal["highest", "high", "medium"] | None = Field(
        None, description="Precision of fp32 matrix products (torch.set_float32_matmul_precision)."
    )
    num_threads: Count | None = Field(None, description="CPU threads of one process.")
    # cache
    use_cache: bool | None = Field(None, description="Keep keys and values of earlier tokens.")
    cache_implementation: (
        Literal["dynamic", "static", "offloaded", "offloaded_static", "quantized"] | None
    ) = Field(None, description="Kind of the key-value cache.")
    # quantisation (bitsandbytes)
    load_in_8bit: bool = Field(False, description="8-bit weights, by bitsandbytes.")
    load_in_4bit: bool = Field(False, description="4-bit weights, by bitsandbytes.")
    bnb_4bit_quant_type: Literal["fp4", "nf4"] | None = Field(
        None, description="Number format of 4-bit weights."
    )
    bnb_4bit_compute_dtype: Literal["fp32", "fp16", "bf16"] | None = Field(
        None, description="dtype that 4-bit weights are computed in."
    )
    bnb_4bit_use_double_quant: bool | None = Field(
        None, description="Quantise the scales of 4-bit weights too."
    )
    # decoding
    num_beams: Count | None = Field(None, description="Beams of a beam search; 1 is none.")
    length_penalty: float | None = Field(
        None, description="Beam search: exponent on the length (dimensionless)."
    )
    early_stopping: bool | Literal["never"] | None = Field(
        None, description="Beam search: when to stop."
    )
    no_repeat_ngram_size: Count | None = Field(
        None, description="No sequence of this many tokens occurs twice."
    )
    prompt_lookup_num_tokens: Count | None = Field(
        None, description="Speculate with this many tokens copied from the prompt."
    )
    max_matching_ngram_size: Count | None = Field(
        None, description="Prompt lookup: longest match (tokens)."
    )
    assistant_model: str | None = Field(
        None, description="Hub id, local path or `shape:<name>` of a draft model."
    )
    num_assistant_tokens: Count | None = Field(
        None, description="Tokens that the draft model proposes at a time."
    )
    num_assistant_tokens_schedule: (
        Literal["constant", "heuristic", "heuristic_transient"] | None
    ) = Field(None, description="How num_assistant_tokens changes.")
    assistant_confidence_threshold: float | None = Field(
        None, ge=0, le=1, description="The draft stops below this probability (dimensionless)."
    )
    # tokens
    apply_chat_template: bool = Field(
        False, description="Wrap each prompt in the tokenizer's chat template as a user's turn."
    )

    @property
    def speculative(self) -> bool:
        """Whether several tokens may come out of one step."""
        return self.assistant_model is not None or self.prompt_lookup_num_tokens is not None

    @property
    def quantised(self) -> bool:
        """Whether bitsandbytes quantises the weights."""
        return self.load_in_4bit or self.load_in_8bit
