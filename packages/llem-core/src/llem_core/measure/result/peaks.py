"""Dense peak compute of GPUs, from their vendor's data sheets.

Figures are dense tensor-core rates in FLOP/s at the boost clock, without sparsity; ``fp32`` is
the rate outside the tensor cores (TF32 is not assumed). Sources: NVIDIA data sheets of each
product (H200, H100, A100, L40S, L4, A10, A40, A6000, RTX 6000 Ada, V100, T4) and the GeForce
architecture white papers (Ampere GA102, Ada AD102). ``fp16`` and ``bf16`` accumulate in fp32.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TERA = 1e12

# pattern of the product's name: (fp32, fp16 and bf16 dense, bf16 is supported), in TFLOP/s
_PEAKS: tuple[tuple[str, float, float, bool], ...] = (
    (r"H200", 67.0, 989.4, True),
    (r"H100.*NVL", 60.0, 835.5, True),
    (r"H100.*PCIe", 51.2, 756.5, True),
    (r"H100", 66.9, 989.4, True),
    (r"A100", 19.5, 312.0, True),
    (r"L40S", 91.6, 362.05, True),
    (r"\bL40\b", 90.5, 181.05, True),
    (r"\bL4\b", 30.3, 121.0, True),
    (r"\bA40\b", 37.4, 149.7, True),
    (r"\bA30\b", 10.3, 165.0, True),
    (r"\bA10\b", 31.2, 125.0, True),
    (r"RTX 6000 Ada", 91.1, 364.2, True),
    (r"RTX A6000", 38.7, 154.8, True),
    (r"RTX 4090", 82.6, 165.2, True),
    (r"RTX 3090\b(?! Ti)", 35.6, 71.0, True),
    (r"V100.*SXM", 15.7, 125.0, False),
    (r"V100", 14.0, 112.0, False),
    (r"\bT4\b", 8.1, 65.0, False),
)


class Peak(NamedTuple):
    """Dense peak of a device (FLOP/s), or why it is not known."""

    flops_per_second: float | None
    reason: str | None = None


def peak_of(device_name: str, dtype: str | None, *, fp32_on_tensor_cores: bool = False) -> Peak:
    """Dense peak of one device.

    Args:
        device_name: product name as the driver gives it.
        dtype: ``fp32``, ``fp16`` or ``bf16``; quantised weights compute in another dtype than
            they are stored in and have no entry.
        fp32_on_tensor_cores: whether fp32 products may be computed in TF32.
    """
    del fp32_on_tensor_cores
    peak = _peak(device_name, dtype)
    return Peak(peak, None if peak else f"no peak is known for {device_name} at {dtype}")


def _peak(device_name: str, dtype: str | None) -> float | None:
    for pattern, fp32, half, has_bf16 in _PEAKS:
        if not re.search(pattern, device_name, re.IGNORECASE):
            continue
        if dtype == "fp32":
            return fp32 * _TERA
        if dtype == "fp16" or (dtype == "bf16" and has_bf16):
            return half * _TERA
        return None
    return None
