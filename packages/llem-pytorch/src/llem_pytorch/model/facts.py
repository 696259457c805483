"""Facts of a loaded model: parameters, dimensions, devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from llem_core.contracts import DeviceInfo, ModelInfo, Workload
from llem_core.models.compute import read_compute
from llem_core.processes.host import cpu_name
from torch import nn

from llem_pytorch.config import PyTorchConfig
from llem_pytorch.generation.compiling import compile_mode

_NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}


def model_info(
    model: Any,
    workload: Workload,
    *,
    random_weights: bool,
    settings: dict[str, object],
    notes: tuple[str, ...],
) -> ModelInfo:
    """Read the facts off a model.

    Args:
        model: as loaded.
        workload: what it is loaded for.
        random_weights: whether its weights are random.
        settings: what the engine uses where it was left to it.
        notes: remarks for the result.
    """
    config = model.config.get_text_config()
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    compute = read_compute(
        model,
        keeps_cache=section.use_cache is not False,
        sequences_per_request=section.num_beams or 1,
        not_counted=tuple(_extra_runs(workload, section)),
    )
    return ModelInfo(
        parameters=int(model.num_parameters()),
        parameters_non_embedding=compute.parameters,
        active_parameters_non_embedding=compute.active_parameters,
        n_layers=getattr(config, "num_hidden_layers", None),
        compute=compute.shape,
        dtype=_dtype(model),
        weights_bytes=int(model.get_memory_footprint(return_buffers=False)) + _scales_bytes(model),
        devices=devices_of(model),
        random_weights=random_weights,
        effective_settings={
            "dtype": _dtype(model),
            "attn_implementation": getattr(config, "_attn_implementation", None),
            "checkpoint_commit": getattr(model.config, "_commit_hash", None),
            **settings,
        },
        notes=notes,
    )


def _extra_runs(workload: Workload, section: PyTorchConfig) -> Iterator[str]:
    if section.assistant_model is not None:
        yield "the draft model"
    if section.speculative:
        yield "tokens that were proposed and not accepted"
    if workload.passthrough_kwargs.get("guidance_scale") is not None:
        yield "the second run of guidance_scale"


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
        "torch_compile": compile_mode(section, device, model) or False,
        **_experts(model, device),
        "inference_mode": allows_inference_mode(section, device),
    }


def _experts(model: Any, device: torch.device) -> dict[str, object]:
    """Kernels of a mixture's experts; transformers takes another for decoding on a GPU."""
    kernel = getattr(model.config.get_text_config(), "_experts_implementation", None)
    if kernel is None or not any("experts" in name for name, _ in model.named_modules()):
        return {}
    switches = hasattr(model, "_optimize_model_for_decode") and device.type != "cpu"
    decode = "batched_mm" if switches and kernel == "grouped_mm" else kernel
    return {"experts_implementation": kernel, "experts_implementation_decode": decode}


def allows_inference_mode(section: PyTorchConfig, device: torch.device) -> bool:
    """Whether ``generate`` may run under ``torch.inference_mode``, else ``torch.no_grad``.

    Not where something is compiled, since graphs keep tensors from call to call, and not where
    accelerate moves weights in and out.
    """
    return compile_mode(section, device) is None and section.device_map is None


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
    stated = stated_positions(model)
    limits = [*learned, *([stated] if stated else [])]
    return min(limits) if learned else None


def stated_positions(model: Any) -> int | None:
    """Positions that a model was made for, as its configuration says."""
    stated = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(stated) if stated else None


def input_device(model: Any) -> torch.device:
    """Where token ids have to be: with the embedding, or where it is moved to when it runs."""
    embedding = model.get_input_embeddings()
    device: torch.device = embedding.weight.device
    if device.type == "meta":
        return torch.device(embedding._hf_hook.execution_device)
    return device


def _scales_bytes(model: Any) -> int:
    """Scales of 4-bit weights (bitsandbytes), which are no parameters of their own."""
    states = [getattr(parameter, "quant_state", None) for parameter in model.parameters()]
    nested = [getattr(state, "state2", None) for state in states]
    kept = [
        getattr(state, name, None)
        for state in (*states, *nested)
        if state is not None
        for name in ("absmax", "code", "offset")
    ]
    # Weights may share a table.
    unique = {t.data_ptr(): t.numel() * t.element_size() for t in kept if torch.is_tensor(t)}
    return sum(unique.values())


def _dtype(model: Any) -> str:
    quantisation = getattr(model.config, "quantization_config", None)
    if quantisation is not None:
        if getattr(quantisation, "load_in_4bit", False):
            return "int4"
        if getattr(quantisation, "load_in_8bit", False):
            return "int8"
    return _NAMES.get(model.dtype, str(model.dtype).removeprefix("torch."))


def _gpu(index: int) -> DeviceInfo:
    properties = torch.cuda.get_device_properties(index)
    uuid = getattr(properties, "uuid", None)
    return DeviceInfo("gpu", properties.name, f"GPU-{uuid}" if uuid is not None else None)


def devices_of(model: Any, gpu: Callable[[int], DeviceInfo] = _gpu) -> tuple[DeviceInfo, ...]:
    """Where a model computes: its GPUs, and the CPU if any of it lies there or on the disk.

    Args:
        model: as loaded.
        gpu: describes the GPU of an index.
    """
    found = {p.device for p in model.parameters() if p.device.type in {"cpu", "cuda"}}
    cuda = sorted({d.index or 0 for d in found if d.type == "cuda"})
    infos = [gpu(index) for index in cuda]
    # Weights that are moved in when needed lie on no device in between.
    places = {str(place) for place in (getattr(model, "hf_device_map", None) or {}).values()}
    if any(d.type == "cpu" for d in found) or places & {"cpu", "disk"} or not infos:
        infos.append(DeviceInfo("cpu", cpu_name()))
    return tuple(infos)
