"""Memory: an estimate before loading, and the peak while running; neither imports torch."""

from __future__ import annotations

import os
from typing import Any

from llem_core.contracts import MemoryReading, Workload
from llem_core.models.checkpoint import count_parameters, dimensions
from llem_core.processes.host import PEAK_SOURCE, peak_bytes, reset_peaks

from llem_pytorch.config import PyTorchConfig

_BYTES = {"fp32": 4.0, "fp16": 2.0, "bf16": 2.0}
_CONFIG_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
_QUANTISED = {"8bit": 1.0, "4bit": 0.5}
_ACTIVATION_COPIES = 8


def estimate_bytes(workload: Workload, fields: dict[str, Any], on_gpu: bool) -> int | None:
    """Rough need of all processes: weights, key-value cache and activations, in bytes.

    Weights are parameters × bytes of their dtype; the cache is 2 × layers × key-value heads ×
    head dimension × positions × batch size; activations are taken as eight copies of the widest
    layer over the prompt, and the logits in fp32. Returns ``None`` for architectures whose
    configuration does not name these dimensions.
    """
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    dims = dimensions(fields)
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


def reset_host_peak() -> bool:
    """Start counting this process's peak resident memory afresh; whether that worked (Linux)."""
    return reset_peaks([os.getpid()])


def host_peak(was_reset: bool) -> MemoryReading:
    """Peak resident memory of this process since ``reset_host_peak``."""
    peak = peak_bytes([os.getpid()])
    if peak is None or not was_reset:
        return MemoryReading(None, PEAK_SOURCE, "the system does not tell a process's peak memory")
    return MemoryReading(peak, PEAK_SOURCE)
