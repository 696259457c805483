"""Dense peak compute of GPUs, from their makers' data sheets.

Rates are in TFLOP/s at the boost clock, without sparsity; where a sheet has the sparse rate alone,
half of it. ``half`` is fp16 and bf16 on tensor (matrix) cores, accumulated in fp32; ``tf32`` is
fp32 products on them; ``fp32`` is the rate outside. Where they stand: NVIDIA's data sheets of
each product, for GeForce and RTX PRO the architecture white papers (GA102, AD102, RTX Blackwell),
for B200 to GB300 the HGX and NVL72 sheets divided by their GPUs; AMD's CDNA data sheets. Not yet
held against those: A10G, RTX 5080 and 5090, B300, GB200, GB300 and most rates of ``tf32``. A name
is matched whole: a variant that is not listed has no figure, since its clocks and units differ.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TERA = 1e12


class Peak(NamedTuple):
    """Dense peak of a device (FLOP/s), or why it is not known."""

    flops_per_second: float | None
    reason: str | None = None


class _Rates(NamedTuple):
    """A product's rates (TFLOP/s); ``None`` where it lacks the kind."""

    name: str
    fp32: float
    tf32: float | None
    half: float
    bf16: bool = True


_SIZE = r"(?:[ -]\d+GB)?"
_RATES = (
    # Blackwell
    _Rates(r"GB[23]00", 80.0, 1250.0, 2500.0),
    _Rates(rf"B[23]00{_SIZE}(?: SXM6)?(?: AC)?", 75.0, 1125.0, 2250.0),
    _Rates(r"RTX PRO 6000 Blackwell Workstation Edition", 125.95, 251.9, 503.8),
    _Rates(r"RTX 5090", 104.8, 104.8, 209.5),
    _Rates(r"RTX 5080", 56.3, 56.3, 112.6),
    # Hopper
    _Rates(r"GH200(?: \d+GB)?", 66.9, 494.7, 989.4),
    _Rates(rf"H[128]00(?: SXM5?)?{_SIZE}(?: HBM3e?)?", 66.9, 494.7, 989.4),
    _Rates(r"H[128]00 NVL", 60.0, 417.7, 835.5),
    _Rates(rf"H[18]00 PCIe{_SIZE}", 51.2, 378.0, 756.5),
    _Rates(rf"H20{_SIZE}(?: HBM3e?)?", 44.0, 74.0, 148.0),
    # Ada
    _Rates(r"L40S", 91.6, 183.0, 362.05),
    _Rates(r"L40", 90.5, 90.5, 181.05),
    _Rates(r"L20", 59.8, 59.8, 119.5),
    _Rates(r"L4", 30.3, 60.0, 121.0),
    _Rates(r"RTX 6000 Ada(?: Generation)?", 91.1, 182.1, 364.2),
    _Rates(r"RTX 4090", 82.6, 82.6, 165.2),
    _Rates(r"RTX 4080", 48.7, 48.7, 97.5),
    # Ampere
    _Rates(rf"A[18]00(?:-(?:SXM4?|PCIE))?{_SIZE}(?: PCIe)?", 19.5, 156.0, 312.0),
    _Rates(r"A40", 37.4, 74.8, 149.7),
    _Rates(r"A30", 10.3, 82.0, 165.0),
    _Rates(r"A10", 31.2, 62.5, 125.0),
    _Rates(r"A10G", 35.0, 35.0, 70.0),
    _Rates(r"A2", 4.5, 9.0, 18.0),
    _Rates(r"RTX A6000", 38.7, 77.4, 154.8),
    _Rates(r"RTX A5000", 27.8, 55.6, 111.1),
    _Rates(r"RTX 3090", 35.6, 35.6, 71.0),
    _Rates(r"RTX 3090 Ti", 40.0, 40.0, 80.0),
    # Volta and Turing: neither TF32 nor bf16
    _Rates(r"V100-SXM[23]-\d+GB(?:-LS)?", 15.7, None, 125.0, bf16=False),
    _Rates(r"V100-PCIE-\d+GB", 14.0, None, 112.0, bf16=False),
    _Rates(r"V100S-PCIE-\d+GB", 16.4, None, 130.0, bf16=False),
    _Rates(r"T4", 8.1, None, 65.0, bf16=False),
    # AMD
    _Rates(r"Instinct MI3(?:00|25)X", 163.4, 653.7, 1307.4),
    _Rates(r"Instinct MI300A", 122.6, 490.3, 980.6),
    _Rates(r"Instinct MI250X", 47.9, None, 383.0),
    _Rates(r"Instinct MI250", 45.3, None, 362.1),
    _Rates(r"Instinct MI210", 22.6, None, 181.0),
)
_MAKERS = re.compile(r"^(?:NVIDIA |AMD |Tesla |GeForce |Quadro )+")
_SLICE = re.compile(r"\bMIG\b|\b\d+g\.\d+gb\b", re.IGNORECASE)
_LIMITED = re.compile(r"Laptop|Mobile|Max-Q|\bD(?: v\d)?$", re.IGNORECASE)


def peak_of(device_name: str, dtype: str | None, *, fp32_on_tensor_cores: bool = False) -> Peak:
    """Dense peak of one device.

    Args:
        device_name: product name as the driver gives it.
        dtype: ``fp32``, ``fp16`` or ``bf16``; quantised weights compute in another dtype than
            they are stored in and have no entry.
        fp32_on_tensor_cores: whether fp32 products may be computed in TF32, whose peak then
            counts where the device has it.
    """
    if _SLICE.search(device_name):
        return Peak(None, f"{device_name} is a slice of a GPU, whose peak no data sheet states")
    if _LIMITED.search(device_name):
        return Peak(
            None, f"{device_name} has clocks that its maker leaves to the builder or has lowered"
        )
    name = _MAKERS.sub("", device_name).strip()
    rates = next((r for r in _RATES if re.fullmatch(r.name, name, re.IGNORECASE)), None)
    if rates is None:
        return Peak(None, f"the peak of {device_name} is not in the table")
    peak = _rate(rates, dtype, fp32_on_tensor_cores)
    if peak is None:
        return Peak(None, f"no peak is known for {device_name} at {dtype}")
    return Peak(peak * _TERA)


def _rate(rates: _Rates, dtype: str | None, fp32_on_tensor_cores: bool) -> float | None:
    if dtype == "fp32":
        return rates.tf32 if fp32_on_tensor_cores and rates.tf32 else rates.fp32
    if dtype == "fp16" or (dtype == "bf16" and rates.bf16):
        return rates.half
    return None
