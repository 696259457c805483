"""Architectures without weights: ``shape:<name>``.

Dimensions are those that the models' authors published in their ``config.json``. A shape has
random weights and a byte-level tokenizer; it moves the bytes and does the arithmetic of the
real model.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from llem_core.errors import ConfigError

PREFIX = "shape:"


@dataclass(frozen=True, slots=True)
class Shape:
    """One architecture.

    Attributes:
        model_type: transformers' name of the architecture.
        dtype: dtype that the model is published in.
        fields: fields of its transformers configuration.
    """

    model_type: str
    dtype: str
    fields: dict[str, Any]


def _llama(
    hidden: int,
    layers: int,
    heads: int,
    kv_heads: int,
    ffn: int,
    vocab: int,
    *,
    model_type: str = "llama",
    dtype: str = "bfloat16",
    tied: bool = False,
    theta: float = 500_000.0,
    **more: Any,
) -> Shape:
    fields = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": ffn,
        "vocab_size": vocab,
        "tie_word_embeddings": tied,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "max_position_embeddings": 32_768,
        **more,
    }
    return Shape(model_type, dtype, fields)


SHAPES: dict[str, Shape] = {
    "tiny-llama": _llama(128, 4, 4, 2, 352, 512, dtype="float32", tied=True, theta=10_000.0),
    "tiny-qwen3": _llama(
        *(128, 4, 4, 2, 352, 512),
        model_type="qwen3",
        dtype="float32",
        tied=True,
        theta=1_000_000.0,
        head_dim=32,
    ),
    "tiny-gpt2": Shape(
        "gpt2",
        "float32",
        {"n_embd": 128, "n_layer": 4, "n_head": 4, "vocab_size": 512, "n_positions": 2048},
    ),
    "tiny-mixtral": _llama(
        *(128, 4, 4, 2, 176, 512),
        model_type="mixtral",
        dtype="float32",
        theta=10_000.0,
        num_local_experts=4,
        num_experts_per_tok=2,
    ),
    "gpt2": Shape(
        "gpt2",
        "float32",
        {"n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50_257, "n_positions": 1024},
    ),
    "smollm2-135m": _llama(576, 30, 9, 3, 1536, 49_152, tied=True, theta=100_000.0),
    "smollm2-360m": _llama(960, 32, 15, 5, 2560, 49_152, tied=True, theta=100_000.0),
    "smollm2-1.7b": _llama(2048, 24, 32, 32, 8192, 49_152, tied=True, theta=130_000.0),
    "tinyllama-1.1b": _llama(2048, 22, 32, 4, 5632, 32_000, theta=10_000.0),
    "llama-3.2-1b": _llama(2048, 16, 32, 8, 8192, 128_256, tied=True, head_dim=64),
    "llama-3.2-3b": _llama(3072, 28, 24, 8, 8192, 128_256, tied=True, head_dim=128),
    "llama-3.1-8b": _llama(4096, 32, 32, 8, 14_336, 128_256),
    "mistral-7b-v0.3": _llama(
        *(4096, 32, 32, 8, 14_336, 32_768), model_type="mistral", theta=1_000_000.0
    ),
    "gemma-2-2b": _llama(
        *(2304, 26, 8, 4, 9216, 256_000),
        model_type="gemma2",
        tied=True,
        theta=10_000.0,
        head_dim=256,
        query_pre_attn_scalar=256,
        sliding_window=4096,
    ),
    "olmoe-1b-7b": _llama(
        *(2048, 16, 16, 16, 1024, 50_304),
        model_type="olmoe",
        theta=10_000.0,
        num_experts=64,
        num_experts_per_tok=8,
    ),
    "qwen2.5-0.5b": _llama(
        *(896, 24, 14, 2, 4864, 151_936), model_type="qwen2", tied=True, theta=1_000_000.0
    ),
    "qwen2.5-1.5b": _llama(
        *(1536, 28, 12, 2, 8960, 151_936), model_type="qwen2", tied=True, theta=1_000_000.0
    ),
    "qwen2.5-7b": _llama(
        *(3584, 28, 28, 4, 18_944, 152_064), model_type="qwen2", theta=1_000_000.0
    ),
    "qwen3-0.6b": _llama(
        *(1024, 28, 16, 8, 3072, 151_936),
        model_type="qwen3",
        tied=True,
        theta=1_000_000.0,
        head_dim=128,
    ),
    "qwen3-1.7b": _llama(
        *(2048, 28, 16, 8, 6144, 151_936),
        model_type="qwen3",
        tied=True,
        theta=1_000_000.0,
        head_dim=128,
    ),
    "qwen3-4b": _llama(
        *(2560, 36, 32, 8, 9728, 151_936),
        model_type="qwen3",
        tied=True,
        theta=1_000_000.0,
        head_dim=128,
    ),
    "qwen3-8b": _llama(
        *(4096, 36, 32, 8, 12_288, 151_936),
        model_type="qwen3",
        theta=1_000_000.0,
        head_dim=128,
    ),
}
"""Name to architecture."""


def is_shape(model: str) -> bool:
    """Whether a model's name asks for a shape."""
    return model.startswith(PREFIX)


def get_shape(model: str) -> Shape:
    """The architecture that ``shape:<name>`` names.

    Raises:
        ConfigError: there is none of that name.
    """
    name = model.removeprefix(PREFIX)
    if name in SHAPES:
        return SHAPES[name]
    near = difflib.get_close_matches(name.lower(), SHAPES, n=1)
    hint = f"did you mean {PREFIX}{near[0]}? " if near else ""
    raise ConfigError(f"model: there is no {model!r}; {hint}Shapes: {', '.join(SHAPES)}.")
