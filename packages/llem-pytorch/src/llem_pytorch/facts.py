"""Facts of a loaded model: parameters, dimensions, devices."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from llem_core.contracts import DeviceInfo, ModelInfo
from torch import nn

from llem_pytorch.config import PyTorchConfig

_NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}


def model_info(
    model: Any, *, random_weights: bool, settings: dict[str, object], notes: tuple[str, ...]
) -> ModelInfo:
    """Read the facts off a model.

    Args:
        model: as loaded.
        random_weights: whether its weights are random.
        settings: what the engine uses where it was left to it.
        notes: remarks for the result.
    """
    config = model.config.get_text_config()
    total = int(model.num_parameters())
    left_out = _embedding_parameters(model)
    dense = total - left_out
    devices = _devices(model)
    return ModelInfo(
        parameters=total,
        parameters_non_embedding=dense,
        active_parameters_non_embedding=_active(model, config, dense),
        n_layers=getattr(config, "num_hidden_layers", None),
        attention_width=_attention_width(config),
        dtype=_dtype(model),
        weights_bytes=int(model.get_memory_footprint(return_buffers=False)),
        devices=devices,
        random_weights=random_weights,
        effective_settings={
            "dtype": _dtype(model),
            "attn_implementation": getattr(config, "_attn_implementation", None),
            "checkpoint_commit": getattr(model.config, "_commit_hash", None),
            **settings,
        },
        notes=notes,
    )


def effective_settings(
    section: PyTorchConfig, model: Any, device: torch.device
) -> dict[str, object]:
    """What the section's nulls come to."""
    own_cache = not getattr(model, "_supports_default_dynamic_cache", lambda: True)()
    placed = getattr(model, "hf_device_map", None) or {}
    return {
        "device": str(device),
        "device_map": {name: str(place) for name, place in placed.items()} or None,
        "num_threads": torch.get_num_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "batch_size": section.batch_size,
        "num_beams": section.num_beams or 1,
        "use_cache": section.use_cache is not False,
        "cache_implementation": section.cache_implementation
        or ("the model's own" if own_cache else "dynamic"),
        "torch_compile": section.torch_compile or False,
    }


def _embedding_parameters(model: Any) -> int:
    weights = {
        module.weight.data_ptr(): module.weight.numel()
        for module in model.modules()
        if isinstance(module, nn.Embedding) and module.weight.device.type != "meta"
    }
    head = model.get_output_embeddings()
    if head is not None:
        weights[head.weight.data_ptr()] = head.weight.numel()
    return sum(weights.values())


def position_limit(model: Any) -> int | None:
    """Most positions of a model that learned a vector for each; ``None`` for all others.

    Rotary and relative positions go on past the length that a model was trained for; learned
    ones end with an index error, which on CUDA takes the whole process along.
    """
    learned = [
        module.num_embeddings
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding)
        and name.rpartition(".")[2] in {"wpe", "embed_positions", "position_embeddings"}
    ]
    stated = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    limits = [*learned, *([stated] if stated else [])]
    return min(limits) if learned else None


def _active(model: Any, config: Any, dense: int) -> int:
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    count = next((n for name in names if (n := getattr(config, name, None))), None)
    chosen = getattr(config, "num_experts_per_tok", None)
    if not count or not chosen:
        return dense
    experts = sum(p.numel() for name, p in model.named_parameters() if ".experts." in name)
    return int(dense - experts + experts * chosen // count)


def _attention_width(config: Any) -> int | None:
    heads = getattr(config, "num_attention_heads", None)
    hidden = getattr(config, "hidden_size", None)
    if heads is None or hidden is None:
        return None
    return int(heads * (getattr(config, "head_dim", None) or hidden // heads))


def _dtype(model: Any) -> str:
    quantisation = getattr(model.config, "quantization_config", None)
    if quantisation is not None:
        if getattr(quantisation, "load_in_4bit", False):
            return "int4"
        if getattr(quantisation, "load_in_8bit", False):
            return "int8"
    return _NAMES.get(model.dtype, str(model.dtype).removeprefix("torch."))


def _devices(model: Any) -> tuple[DeviceInfo, ...]:
    found = {p.device for p in model.parameters() if p.device.type in {"cpu", "cuda"}}
    cuda = sorted({d.index or 0 for d in found if d.type == "cuda"})
    infos = [_gpu(index) for index in cuda]
    if any(d.type == "cpu" for d in found) or not infos:
        infos.append(DeviceInfo("cpu", _cpu_name()))
    return tuple(infos)


def _gpu(index: int) -> DeviceInfo:
    properties = torch.cuda.get_device_properties(index)
    uuid = getattr(properties, "uuid", None)
    return DeviceInfo("gpu", properties.name, f"GPU-{uuid}" if uuid is not None else None)


def _cpu_name() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _lines(path: str) -> Iterable[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
