"""Why a GPU lowers its clocks: NVML's bits and the names that results use."""

from __future__ import annotations

THROTTLE_NAMES = {
    0x1: "gpu_idle",
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}
"""Bits of ``nvmlClocksEventReasons``, which was ``nvmlClocksThrottleReasons`` (nvml.h)."""

THROTTLE_CALLS = (
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
)
"""The binding's functions that give the bits: drivers before 535 have the second one alone."""


def throttle_names(bits: int | None) -> tuple[str, ...] | None:
    """Names of the bits; ``None`` where the driver does not tell, which is not the same as none."""
    if bits is None:
        return None
    return tuple(name for bit, name in THROTTLE_NAMES.items() if bits & bit)
