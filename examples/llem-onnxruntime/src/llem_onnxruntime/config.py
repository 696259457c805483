"""The section ``onnxruntime`` of an experiment file."""

from __future__ import annotations

from typing import Annotated, Literal

from llem_core.contracts import BackendSection
from pydantic import Field

Count = Annotated[int, Field(strict=True, ge=1)]


class OnnxRuntimeConfig(BackendSection):
    """How ONNX Runtime runs the model; null is its own default."""

    file: str | None = Field(
        None,
        min_length=1,
        description="The graph within the model's folder; `model.onnx`, `onnx/model.onnx` or "
        "`decoder_model_merged.onnx`, whichever comes first, if not given.",
    )
    tokenizer: str | None = Field(
        None,
        min_length=1,
        description="Path of a `tokenizer.json`; the one in the model's folder if not given. "
        "Without any, a token is a byte.",
    )
    batch_size: Count = Field(1, description="Prompts that are generated together, at the most.")
    intra_op_threads: Count | None = Field(
        None, description="Threads that one operator is spread over."
    )
    graph_optimization: Literal["disabled", "basic", "extended", "all"] | None = Field(
        None, description="How far the graph is rewritten when it is loaded."
    )
    memory_arena: bool | None = Field(
        None, description="Keep freed memory for the next step instead of giving it back."
    )
