"""The functions of ``libnvidia-ml`` over simulated GPUs, with the names of the C library.

Those that the samplers of this project, Zeus and CodeCarbon call; the others are not found, as
with an old driver, and what would change a device is refused, as to a user without the right.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import pynvml
from llem_core.units import to_milli

from llem_energy_nvml.testing.gpu import SimulatedGpu

SUCCESS = int(pynvml.NVML_SUCCESS)
_MEMORY_BYTES, _USED_BYTES = 80 << 30, 10 << 30
_SM_MHZ, _MEMORY_MHZ = 1500, 2600
_PER_BOARD = 256
"""A MIG instance's handle is that of its board, plus this times its number from 1 on."""
_GPU_PERCENT, _MEMORY_PERCENT = 80, 40


class SimulatedLibrary:
    """Stands in for the handle of the C library.

    Args:
        gpus: the devices, by index.
        now: time since the start of the simulation (s).
        sleep: waits (s): a call may take its time.
        loaded: whether the driver is loaded.
        version: what the driver calls itself.
    """

    def __init__(
        self,
        gpus: Sequence[SimulatedGpu],
        now: Callable[[], float],
        sleep: Callable[[float], None],
        loaded: bool,
        version: str,
    ) -> None:
        self._gpus = gpus
        self._now = now
        self._sleep = sleep
        self._loaded = loaded
        self._version = version.encode()

    def nvmlInitWithFlags(self, flags: Any) -> int:
        del flags
        return SUCCESS if self._loaded else int(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    def nvmlInit_v2(self) -> int:
        return self.nvmlInitWithFlags(0)

    def nvmlShutdown(self) -> int:
        return SUCCESS

    def nvmlSystemGetDriverVersion(self, buffer: Any, size: Any) -> int:
        del size
        buffer.value = self._version
        return SUCCESS

    def nvmlSystemGetNVMLVersion(self, buffer: Any, size: Any) -> int:
        return self.nvmlSystemGetDriverVersion(buffer, size)

    def nvmlSystemGetCudaDriverVersion_v2(self, version: Any) -> int:
        return _fill(version, 13000)

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        return _fill(count, len(self._gpus))

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        if index.value >= len(self._gpus):
            return int(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return self._open(index.value, handle)

    def nvmlDeviceGetHandleByUUID(self, uuid: Any, handle: Any) -> int:
        for index, gpu in enumerate(self._gpus):
            if gpu.uuid.encode() == uuid.value:
                return self._open(index, handle)
        return int(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetIndex(self, handle: Any, index: Any) -> int:
        return self._answer(handle, index, _pointer(handle) - 1)

    def nvmlDeviceGetMinorNumber(self, handle: Any, number: Any) -> int:
        return self._answer(handle, number, _pointer(handle) - 1)

    def nvmlDeviceGetUUID(self, handle: Any, buffer: Any, size: Any) -> int:
        del size
        part = _pointer(handle) // _PER_BOARD
        gpu = self._gpu(handle)
        buffer.value = (gpu.mig_uuids[part - 1] if part else gpu.uuid).encode()
        return self._state(handle)

    def nvmlDeviceGetName(self, handle: Any, buffer: Any, size: Any) -> int:
        del size
        buffer.value = self._gpu(handle).name.encode()
        return self._state(handle)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, energy: Any) -> int:
        self._take(handle)
        return self._answer(handle, energy, self._gpu(handle).counter_mj(self._now()))

    def nvmlDeviceGetPowerUsage(self, handle: Any, power: Any) -> int:
        self._take(handle)
        return self._answer(handle, power, self._gpu(handle).legacy_mw(self._now()))

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any, limit: Any) -> int:
        return self._answer(handle, limit, int(to_milli(self._gpu(handle).power_limit_w)))

    def nvmlDeviceGetPowerManagementLimit(self, handle: Any, limit: Any) -> int:
        return self.nvmlDeviceGetEnforcedPowerLimit(handle, limit)

    def nvmlDeviceGetPowerManagementDefaultLimit(self, handle: Any, limit: Any) -> int:
        return self.nvmlDeviceGetEnforcedPowerLimit(handle, limit)

    def nvmlDeviceGetPowerManagementLimitConstraints(
        self, handle: Any, least: Any, most: Any
    ) -> int:
        limit_mw = int(to_milli(self._gpu(handle).power_limit_w))
        _fill(least, limit_mw // 2)
        return self._answer(handle, most, limit_mw)

    def nvmlDeviceGetArchitecture(self, handle: Any, generation: Any) -> int:
        return self._answer(handle, generation, self._gpu(handle).architecture)

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: Any, temperature: Any) -> int:
        del sensor
        return self._answer(handle, temperature, self._gpu(handle).temperature_c)

    def nvmlDeviceGetTemperatureV(self, handle: Any, temperature: Any) -> int:
        temperature._obj.temperature = self._gpu(handle).temperature_c
        return self._state(handle)

    def nvmlDeviceGetClockInfo(self, handle: Any, kind: Any, clock: Any) -> int:
        of_memory = kind.value == pynvml.NVML_CLOCK_MEM
        return self._answer(handle, clock, _MEMORY_MHZ if of_memory else _SM_MHZ)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Any, reasons: Any) -> int:
        if self._gpu(handle).legacy_throttle is not False:
            return int(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        return self._answer(handle, reasons, self._gpu(handle).throttle)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Any, reasons: Any) -> int:
        if self._gpu(handle).legacy_throttle is None:
            return int(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        return self._answer(handle, reasons, self._gpu(handle).throttle)

    def nvmlDeviceGetUtilizationRates(self, handle: Any, rates: Any) -> int:
        busy = self._gpu(handle).busy(self._now())
        rates._obj.gpu, rates._obj.memory = (_GPU_PERCENT, _MEMORY_PERCENT) if busy else (0, 0)
        return self._state(handle)

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        memory._obj.total, memory._obj.used = _MEMORY_BYTES, _USED_BYTES
        memory._obj.free = _MEMORY_BYTES - _USED_BYTES
        return self._state(handle)

    def nvmlDeviceGetComputeMode(self, handle: Any, mode: Any) -> int:
        return self._answer(handle, mode, int(pynvml.NVML_COMPUTEMODE_DEFAULT))

    def nvmlDeviceGetPersistenceMode(self, handle: Any, mode: Any) -> int:
        return self._answer(handle, mode, int(pynvml.NVML_FEATURE_ENABLED))

    def nvmlDeviceGetMigMode(self, handle: Any, current: Any, pending: Any) -> int:
        _fill(pending, 0)
        return self._answer(handle, current, int(self._gpu(handle).mig))

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Any, count: Any, rows: Any) -> int:
        pids = self._gpu(handle).pids
        count._obj.value = len(pids)
        if pids and rows is None:
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
        for position, pid in enumerate(pids):
            rows[position].pid = pid
        return self._state(handle)

    def nvmlDeviceGetGraphicsRunningProcesses_v3(self, handle: Any, count: Any, rows: Any) -> int:
        del rows
        count._obj.value = 0
        return self._state(handle)

    def nvmlDeviceGetFieldValues(self, handle: Any, count: Any, values: Any) -> int:
        self._take(handle)
        gpu, now_s = self._gpu(handle), self._now()
        for position in range(count.value):
            row = values._obj[position]
            power_mw = {
                (pynvml.NVML_FI_DEV_POWER_INSTANT, 0): gpu.instant_mw,
                (pynvml.NVML_FI_DEV_POWER_INSTANT, 1): gpu.module_mw,
                (pynvml.NVML_FI_DEV_POWER_AVERAGE, 0): gpu.legacy_mw,
            }.get((row.fieldId, row.scopeId), lambda _: None)(now_s)
            if power_mw is None:
                row.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
                continue
            row.nvmlReturn = SUCCESS
            row.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
            row.value.uiVal = power_mw
        return self._state(handle)

    def nvmlDeviceSetPowerManagementLimit(self, handle: Any, limit: Any) -> int:
        del handle, limit
        return int(pynvml.NVML_ERROR_NO_PERMISSION)

    def nvmlDeviceSetPersistenceMode(self, handle: Any, mode: Any) -> int:
        del handle, mode
        return int(pynvml.NVML_ERROR_NO_PERMISSION)

    def nvmlDeviceGetC2cModeInfoV(self, handle: Any, info: Any) -> int:
        del handle, info
        return int(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any, count: Any) -> int:
        return self._answer(handle, count, len(self._gpu(handle).mig_uuids))

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, index: Any, part: Any) -> int:
        if index.value >= len(self._gpu(handle).mig_uuids):
            return int(pynvml.NVML_ERROR_NOT_FOUND)
        address = _pointer(handle) + _PER_BOARD * (index.value + 1)
        ctypes.cast(ctypes.byref(part._obj), ctypes.POINTER(ctypes.c_void_p))[0] = address
        return SUCCESS

    def _open(self, index: int, handle: Any) -> int:
        if self._gpus[index].denied:
            return int(pynvml.NVML_ERROR_NO_PERMISSION)
        if self._gpus[index].lost(self._now()):
            return int(pynvml.NVML_ERROR_GPU_IS_LOST)
        # A handle is an opaque pointer; its address is index + 1, so that none is null.
        ctypes.cast(ctypes.byref(handle._obj), ctypes.POINTER(ctypes.c_void_p))[0] = index + 1
        return SUCCESS

    def _take(self, handle: Any) -> None:
        """Take the time that the call takes; the value is that of its end."""
        self._gpu(handle).calls += 1
        took_s = self._gpu(handle).call_time_s(self._now())
        if took_s > 0:
            self._sleep(took_s)

    def _gpu(self, handle: Any) -> SimulatedGpu:
        return self._gpus[_pointer(handle) % _PER_BOARD - 1]

    def _state(self, handle: Any) -> int:
        return (
            int(pynvml.NVML_ERROR_GPU_IS_LOST) if self._gpu(handle).lost(self._now()) else SUCCESS
        )

    def _answer(self, handle: Any, target: Any, value: int | None) -> int:
        if value is None:
            return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
        _fill(target, value)
        return self._state(handle)


def _fill(target: Any, value: int) -> int:
    target._obj.value = value
    return SUCCESS


def _pointer(handle: Any) -> int:
    address = ctypes.cast(handle, ctypes.c_void_p).value
    assert address is not None
    return address
