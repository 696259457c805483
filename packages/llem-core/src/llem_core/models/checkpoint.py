"""Where a checkpoint's files are, and what its ``config.json`` says, read without transformers."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from llem_core.models.shapes import get_shape, is_shape

_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt"),
    *("tokenizer.model", "spiece.model", "tekken.json"),
)


def is_local(model: str) -> bool:
    """Whether a model's name can only be a path."""
    return model.startswith(("./", "../", "/", "~")) or Path(model).is_dir()


def place(model: str) -> str:
    """A model's name as engines take it: they do not know of ``~``."""
    return str(Path(model).expanduser()) if model.startswith("~") else model


def model_fields(
    model: str, revision: str | None = None, subfolder: str | None = None
) -> dict[str, Any] | None:
    """A model's configuration without loading it; ``None`` where it is not at hand."""
    if is_shape(model):
        shape = get_shape(model)
        return {"dtype": shape.dtype, **shape.fields}
    fields = checkpoint_fields(model, revision, subfolder)
    # A model of text and images has its language model's dimensions one level down.
    text = (fields or {}).get("text_config")
    return {**(fields or {}), **text} if isinstance(text, dict) else fields


def checkpoint_fields(
    model: str, revision: str | None = None, subfolder: str | None = None
) -> dict[str, Any] | None:
    """What a checkpoint's ``config.json`` says; ``None`` where it is not at hand."""
    folder = checkpoint_folder(model, revision) / (subfolder or "")
    try:
        fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return fields if isinstance(fields, dict) else None


def checkpoint_folder(model: str, revision: str | None) -> Path:
    """Where a model's files are, or would be: a local folder, or its place in the hub's cache."""
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or home) / "hub"
    repository = Path(hub).expanduser() / f"models--{model.replace('/', '--')}"
    commit = revision or "main"
    # A branch or tag is a file with the commit's name; a commit has none.
    with contextlib.suppress(OSError, ValueError):
        commit = (repository / "refs" / commit).read_text(encoding="ascii").strip()
    return repository / "snapshots" / commit


def has_tokenizer(model: str, subfolder: str | None = None) -> bool:
    """Whether a checkpoint comes with a tokenizer; one on the hub is taken to."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return True
    folder /= subfolder or ""
    return any((folder / name).exists() for name in _TOKENIZER_FILES) or any(folder.glob("*.gguf"))


def count_parameters(dims: dict[str, int]) -> int:
    """Parameters of a decoder with gated feed-forward layers, from its ``dimensions``."""
    attention = dims["hidden"] * (2 * dims["q_width"] + 2 * dims["kv_width"])
    feed_forward = dims["experts"] * 3 * dims["hidden"] * dims["ffn"]
    embeddings = dims["vocab"] * dims["hidden"] * (1 if dims["tied"] else 2)
    return dims["layers"] * (attention + feed_forward + 2 * dims["hidden"]) + embeddings


def dimensions(fields: dict[str, Any]) -> dict[str, int] | None:
    """Sizes of a decoder by name; ``None`` where its configuration does not name them."""

    def first(*names: str) -> int | None:
        found = (fields.get(name) for name in names)
        return next((int(value) for value in found if isinstance(value, int)), None)

    hidden, layers = first("hidden_size", "n_embd"), first("num_hidden_layers", "n_layer")
    heads, vocab = first("num_attention_heads", "n_head"), first("vocab_size")
    if hidden is None or layers is None or heads is None or vocab is None:
        return None
    head = first("head_dim") or hidden // heads
    # GPT-2 has two ungated matrices of 4 × hidden: as much as three of 8/3 × hidden.
    return {
        "hidden": hidden,
        "layers": layers,
        "vocab": vocab,
        "q_width": heads * head,
        "kv_width": (first("num_key_value_heads") or heads) * head,
        "ffn": first("moe_intermediate_size", "intermediate_size") or hidden * 8 // 3,
        "experts": first("num_local_experts", "num_experts", "n_routed_experts") or 1,
        "tied": int(bool(fields.get("tie_word_embeddings", True))),
    }
