"""Puts simulated GPUs underneath ``pynvml``.

The binding calls C functions of ``libnvidia-ml`` through ``ctypes``. Here its library handle is
replaced by an object with Python functions of the same names, which fill the binding's own
structures; so the binding's code, its structures and its error mapping are exercised, and
whatever else uses the binding in this process sees the same GPUs.
"""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pynvml
from llem_core.units import to_milli

from llem_energy_nvml.testing.gpu import SimulatedGpu

Clock = Callable[[], float]


@contextlib.contextmanager
def simulated_driver(
    gpus: Sequence[SimulatedGpu], *, clock: Clock = time.monotonic, loaded: bool = True
) -> Iterator[Clock]:
    """Within the block, ``pynvml`` in this process sees these GPUs.

    Args:
        gpus: the devices, by NVML's index.
        clock: monotonic seconds; the simulation starts at its present value.
        loaded: whether the driver is loaded; if not, opening NVML fails.

    Yields:
        Seconds since the start of the simulation: the time that curves and defects refer to.
    """
    origin_s = clock()

    def now() -> float:
        return clock() - origin_s

    binding: Any = pynvml
    library, functions = binding.nvmlLib, dict(binding._nvmlGetFunctionPointer_cache)
    binding._nvmlGetFunctionPointer_cache.clear()
    binding.nvmlLib = _Library(gpus, now, loaded)
    try:
        yield now
    finally:
        binding.nvmlLib = library
        binding._nvmlGetFunctionPointer_cache.clear()
        binding._nvmlGetFunctionPointer_cache.update(functions)


class _Library:
    """The functions of the C library that samplers call; the others are not found."""

    def __init__(self, gpus: Sequence[SimulatedGpu], now: Clock, loaded: bool) -> None:
        self._gpus = gpus
        self._now = now
        self._loaded = loaded

    def nvmlInitWithFlags(self, flags: Any) -> int:
        del flags
        state = pynvml.NVML_SUCCESS if self._loaded else pynvml.NVML_ERROR_DRIVER_NOT_LOADED
        return int(state)

    def nvmlInit_v2(self) -> int:
        return self.nvmlInitWithFlags(0)

    def nvmlShutdown(self) -> int:
        return int(pynvml.NVML_SUCCESS)

    def nvmlSystemGetDriverVersion(self, buffer: Any, size: Any) -> int:
        del size
        buffer.value = b"580.00.simulated"
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        return _fill(count, len(self._gpus))

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        if index.value >= len(self._gpus):
            return int(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        # A handle is an opaque pointer; its address is index + 1, so that none is null.
        _set_pointer(handle._obj, index.value + 1)
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetUUID(self, handle: Any, buffer: Any, size: Any) -> int:
        del size
        buffer.value = self._gpu(handle).uuid.encode()
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetName(self, handle: Any, buffer: Any, size: Any) -> int:
        del size
        buffer.value = self._gpu(handle).name.encode()
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, energy: Any) -> int:
        return self._answer(handle, energy, self._gpu(handle).counter_mj(self._now()))

    def nvmlDeviceGetPowerUsage(self, handle: Any, power: Any) -> int:
        return self._answer(handle, power, self._gpu(handle).legacy_mw(self._now()))

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any, limit: Any) -> int:
        return self._answer(handle, limit, int(to_milli(self._gpu(handle).power_limit_w)))

    def nvmlDeviceGetArchitecture(self, handle: Any, generation: Any) -> int:
        return self._answer(handle, generation, self._gpu(handle).architecture)

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: Any, temperature: Any) -> int:
        del sensor
        return self._answer(handle, temperature, 45)

    def nvmlDeviceGetClockInfo(self, handle: Any, kind: Any, clock: Any) -> int:
        del kind
        return self._answer(handle, clock, 1500)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Any, reasons: Any) -> int:
        return self._answer(handle, reasons, self._gpu(handle).throttle)

    def nvmlDeviceGetUtilizationRates(self, handle: Any, rates: Any) -> int:
        rates._obj.gpu, rates._obj.memory = 80, 40
        return self._state(handle)

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        memory._obj.total, memory._obj.used, memory._obj.free = 80 << 30, 10 << 30, 70 << 30
        return self._state(handle)

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

    def nvmlDeviceGetFieldValues(self, handle: Any, count: Any, values: Any) -> int:
        for position in range(count.value):
            row = values._obj[position]
            power_mw = self._gpu(handle).instant_mw(self._now())
            if row.fieldId != pynvml.NVML_FI_DEV_POWER_INSTANT or power_mw is None:
                row.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
                continue
            row.nvmlReturn = pynvml.NVML_SUCCESS
            row.value.uiVal = power_mw
        return self._state(handle)

    def _gpu(self, handle: Any) -> SimulatedGpu:
        return self._gpus[_pointer(handle) - 1]

    def _state(self, handle: Any) -> int:
        lost = self._gpu(handle).lost(self._now())
        return int(pynvml.NVML_ERROR_GPU_IS_LOST if lost else pynvml.NVML_SUCCESS)

    def _answer(self, handle: Any, target: Any, value: int | None) -> int:
        if value is None:
            return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
        _fill(target, value)
        return self._state(handle)


def _fill(target: Any, value: int) -> int:
    target._obj.value = value
    return int(pynvml.NVML_SUCCESS)


def _set_pointer(handle: Any, address: int) -> None:
    ctypes.cast(ctypes.byref(handle), ctypes.POINTER(ctypes.c_void_p))[0] = address


def _pointer(handle: Any) -> int:
    address = ctypes.cast(handle, ctypes.c_void_p).value
    assert address is not None
    return address
