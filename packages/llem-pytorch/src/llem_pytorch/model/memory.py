"""Memory: an estimate before loading, and the peak while running; neither imports torch."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from llem_core.contracts import MemoryReading, Workload
from llem_core.units import BYTES_PER_KIB

from llem_pytorch.config import PyTorchConfig
from llem_pytorch.model.shapes import get_shape, is_shape

_BYTES = {"fp32": 4.0, "fp16": 2.0, "bf16": 2.0}
_CONFIG_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
_QUANTISED = {"8bit": 1.0, "4bit": 0.5}
_ACTIVATION_COPIES = 8


def model_fields(workload: Workload) -> dict[str, Any] | None:
    """The model's configuration without loading it; ``None`` where it is not at hand."""
    if is_shape(workload.model):
        shape = get_shape(workload.model)
        return {"dtype": shape.dtype, **shape.fields}
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    fields = checkpoint_fields(workload.model, section.revision, section.subfolder)
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


def estimate_bytes(workload: Workload, fields: dict[str, Any], on_gpu: bool) -> int | None:
    """Rough need of all processes: weights, key-value cache and activations, in bytes.

    Weights are parameters × bytes of their dtype; the cache is 2 × layers × key-value heads ×
    head dimension × positions × batch size; activations are taken as eight copies of the widest
    layer over the prompt, and the logits in fp32. Returns ``None`` for architectures whose
    configuration does not name these dimensions.
    """
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    dims = _dimensions(fields)
    if dims is None:
        return None
    width = _BYTES.get(workload.precision) or _CONFIG_BYTES.get(
        str(fields.get("dtype") or fields.get("torch_dtype")), 2.0 if on_gpu else 4.0
    )
    weight_bytes = width
    if section.load_in_8bit or section.load_in_4bit:
        weight_bytes = _QUANTISED["8bit" if section.load_in_8bit else "4bit"]
    rows = section.batch_size * (section.num_beams or 1)
    positions = workload.max_input_tokens + workload.max_output_tokens
    cache = 2 * dims["layers"] * dims["kv_width"] * positions * rows * width
    widest = max(dims["ffn"], dims["hidden"])
    activations = rows * (
        workload.max_input_tokens * widest * _ACTIVATION_COPIES * width + dims["vocab"] * 4
    )
    each = count_parameters(dims) * weight_bytes + cache + activations
    return int(each * section.num_processes)


def available_bytes() -> int | None:
    """Memory of the host that new work can have; ``None`` where the system does not tell."""
    kib = _status("/proc/meminfo", "MemAvailable")
    return None if kib is None else kib * BYTES_PER_KIB


def reset_host_peak() -> bool:
    """Start counting this process's peak resident memory afresh; whether that worked (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def host_peak(was_reset: bool) -> MemoryReading:
    """Peak resident memory of this process since ``reset_host_peak``."""
    source = "VmHWM of /proc/self/status (resident memory of the whole process)"
    kib = _status("/proc/self/status", "VmHWM")
    if kib is None or not was_reset:
        return MemoryReading(None, source, "the system does not tell a process's peak memory")
    return MemoryReading(kib * BYTES_PER_KIB, source)


def count_parameters(dims: dict[str, int]) -> int:
    """Parameters of a decoder with gated feed-forward layers, from its dimensions."""
    attention = dims["hidden"] * (2 * dims["q_width"] + 2 * dims["kv_width"])
    feed_forward = dims["experts"] * 3 * dims["hidden"] * dims["ffn"]
    embeddings = dims["vocab"] * dims["hidden"] * (1 if dims["tied"] else 2)
    return dims["layers"] * (attention + feed_forward + 2 * dims["hidden"]) + embeddings


def _dimensions(fields: dict[str, Any]) -> dict[str, int] | None:
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


def _status(path: str, key: str) -> int | None:
    try:
        lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), None)
