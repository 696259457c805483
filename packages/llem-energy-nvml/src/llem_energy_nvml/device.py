"""One GPU as NVML shows it: every call of the binding is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pynvml
from llem_core.units import from_milli

T = TypeVar("T")
MEGA = 1e6
POWER_INSTANT = 186
_AMPERE = 7
_VALUE_UNSIGNED = 1
_THROTTLE_NAMES = {
    0x1: "gpu_idle",
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
}


class Device:
    """One GPU.

    A reading that NVML does not support is ``None``; any other failure is ``pynvml.NVMLError``.

    Args:
        index: NVML's own index.

    Attributes:
        uuid, name: as NVML gives them.
        power_limit_w: enforced power limit (W).
        has_counter: whether there is a total-energy counter.
        power_field: what ``power_w`` really reads.
        mig: whether MIG is on.
    """

    def __init__(self, index: int) -> None:
        self._handle: Any = pynvml.nvmlDeviceGetHandleByIndex(index)
        self.uuid: str = pynvml.nvmlDeviceGetUUID(self._handle)
        self.name: str = pynvml.nvmlDeviceGetName(self._handle)
        limit_mw = _supported(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(self._handle))
        self.power_limit_w = None if limit_mw is None else from_milli(limit_mw)
        self.has_counter = self.energy_j() is not None
        self._instant = self._instant_w() is not None
        self.power_field = self._field_name()
        mode = _supported(lambda: pynvml.nvmlDeviceGetMigMode(self._handle))
        self.mig = bool(mode and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE)

    def energy_j(self) -> float | None:
        """Energy since the driver was loaded (J): ``nvmlDeviceGetTotalEnergyConsumption``."""
        energy_mj = _supported(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        return None if energy_mj is None else from_milli(energy_mj)

    def power_w(self) -> float | None:
        """Power (W), from the field that ``power_field`` names."""
        if self._instant:
            return self._instant_w()
        power_mw = _supported(lambda: pynvml.nvmlDeviceGetPowerUsage(self._handle))
        return None if power_mw is None else from_milli(power_mw)

    def temperature_c(self) -> float | None:
        """Temperature of the chip (°C)."""
        sensor = pynvml.NVML_TEMPERATURE_GPU
        return _supported(lambda: pynvml.nvmlDeviceGetTemperature(self._handle, sensor))

    def utilisation_percent(self) -> float | None:
        """Share of the last sampling period in which a kernel ran (%)."""
        rates = _supported(lambda: pynvml.nvmlDeviceGetUtilizationRates(self._handle))
        return None if rates is None else float(rates.gpu)

    def memory_bytes(self) -> int | None:
        """Memory in use by all processes (bytes)."""
        info = _supported(lambda: pynvml.nvmlDeviceGetMemoryInfo(self._handle))
        return None if info is None else int(info.used)

    def clock_hz(self, kind: int) -> float | None:
        """Current clock (Hz): ``pynvml.NVML_CLOCK_SM`` or ``NVML_CLOCK_MEM``."""
        mhz = _supported(lambda: pynvml.nvmlDeviceGetClockInfo(self._handle, kind))
        return None if mhz is None else mhz * MEGA

    def throttle_reasons(self) -> tuple[str, ...]:
        """Names of what lowers the clocks now."""
        bits = _supported(lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(self._handle))
        return tuple(name for bit, name in _THROTTLE_NAMES.items() if (bits or 0) & bit)

    def compute_pids(self) -> tuple[int, ...]:
        """Processes with a compute context on the device, this one included."""
        found = _supported(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(self._handle))
        return tuple(int(process.pid) for process in found or ())

    def _instant_w(self) -> float | None:
        values = _supported(lambda: pynvml.nvmlDeviceGetFieldValues(self._handle, [POWER_INSTANT]))
        if values is None or values[0].nvmlReturn != pynvml.NVML_SUCCESS:
            return None
        return from_milli(values[0].value.uiVal)

    def _field_name(self) -> str:
        if self._instant:
            return "POWER_INSTANT (field 186): mean over 25 or 100 ms, by card"
        generation = _supported(lambda: pynvml.nvmlDeviceGetArchitecture(self._handle))
        averaged = generation is None or (generation >= _AMPERE and "A100" not in self.name)
        what = "trailing average over about 1 s" if averaged else "instantaneous"
        return f"nvmlDeviceGetPowerUsage: {what}"


def _supported(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
        return None
