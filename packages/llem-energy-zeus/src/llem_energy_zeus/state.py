"""What a GPU tells of itself beside its power, which Zeus has no calls for: asked of NVML."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llem_core.contracts import PowerSample
from llem_core.meters import THROTTLE_CALLS, throttle_names

T = TypeVar("T")
_MEGA = 1e6


def read_state(handle: Any) -> PowerSample:
    """Utilisation, memory, clocks and throttle reasons of one GPU, in a row without power.

    What a board does not tell, or an AMD board's handle cannot be asked, is left out.
    """
    import pynvml

    rates = _told(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    memory = _told(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    asked = (_told(lambda c=call: getattr(pynvml, c)(handle)) for call in THROTTLE_CALLS)  # type: ignore[misc]
    bits = next((bits for bits in asked if bits is not None), None)
    return PowerSample(
        time_s=0.0,
        domain="",
        power_w=None,
        utilisation_percent=None if rates is None else float(rates.gpu),
        memory_bytes=None if memory is None else int(memory.used),
        sm_clock_hz=_clock_hz(pynvml, handle, pynvml.NVML_CLOCK_SM),
        memory_clock_hz=_clock_hz(pynvml, handle, pynvml.NVML_CLOCK_MEM),
        throttle_reasons=throttle_names(bits),
    )


def _clock_hz(pynvml: Any, handle: Any, kind: int) -> float | None:
    clock_mhz = _told(lambda: pynvml.nvmlDeviceGetClockInfo(handle, kind))
    return None if clock_mhz is None else float(clock_mhz) * _MEGA


def _told(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Exception:  # noqa: BLE001 - a board that lacks a reading raises NVML's error, an AMD handle ctypes'
        return None
