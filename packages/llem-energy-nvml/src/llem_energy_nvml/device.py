"""One GPU as NVML shows it: every call of the binding is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pynvml
from llem_core.meters import THROTTLE_CALLS, mig_board, throttle_names
from llem_core.units import from_milli

from llem_energy_nvml.sensor import PowerField, assumed_sensor, power_field

T = TypeVar("T")
MEGA = 1e6
POWER_INSTANT = 186
_OF_GPU, _OF_MODULE = 0, 1
"""Scopes of the power field: the GPU, and the whole module with its processor and memory."""


class Device:
    """One GPU.

    ``energy_j`` and ``power_w`` give ``None`` where NVML does not support them and raise
    ``pynvml.NVMLError`` on any other failure; the readings that only describe the device give
    ``None`` on every failure.

    Args:
        index: NVML's own index.

    Attributes:
        uuid, name: as NVML gives them.
        architecture: NVML's number of it; ``None`` if it does not tell.
        power_limit_w: enforced power limit (W).
        has_counter: whether there is a total-energy counter.
        field: what ``power_w`` really reads.
        sensor: facts of the sensors.
        mig: whether MIG is on, and its instances.
        module: whether counter and power are of a module that the GPU shares with a processor.
    """

    def __init__(self, index: int) -> None:
        self._handle: Any = pynvml.nvmlDeviceGetHandleByIndex(index)
        self.uuid: str = pynvml.nvmlDeviceGetUUID(self._handle)
        self.name: str = pynvml.nvmlDeviceGetName(self._handle)
        limit_mw = _told(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(self._handle))
        self.power_limit_w = None if limit_mw is None else from_milli(limit_mw)
        self.architecture: int | None = _told(
            lambda: pynvml.nvmlDeviceGetArchitecture(self._handle)
        )
        self.has_counter = self.energy_j() is not None
        # The counter of a superchip (GH200, GB200) is the module's; its power field tells both.
        self.module = self.has_counter and self._instant_w(_OF_MODULE) is not None
        self._scope = _OF_MODULE if self.module else _OF_GPU
        self._instant = self._instant_w(self._scope) is not None
        self.field: PowerField = power_field(self._instant, self.architecture, self.name)
        self.sensor = assumed_sensor(self.field, self.architecture, self.name)
        self.mig = mig_board(pynvml, self._handle)

    def energy_j(self) -> float | None:
        """Energy since the driver was loaded (J): ``nvmlDeviceGetTotalEnergyConsumption``."""
        energy_mj = _supported(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        return None if energy_mj is None else from_milli(energy_mj)

    def power_w(self) -> float | None:
        """Power (W), from the field that ``field`` names."""
        if self._instant:
            return self._instant_w(self._scope)
        power_mw = _supported(lambda: pynvml.nvmlDeviceGetPowerUsage(self._handle))
        return None if power_mw is None else from_milli(power_mw)

    def temperature_c(self) -> float | None:
        """Temperature of the chip (°C)."""
        sensor = pynvml.NVML_TEMPERATURE_GPU
        return _told(lambda: float(pynvml.nvmlDeviceGetTemperatureV(self._handle, sensor))) or (
            # Drivers before 560 have the older call alone.
            _told(lambda: float(pynvml.nvmlDeviceGetTemperature(self._handle, sensor)))
        )

    def utilisation_percent(self) -> float | None:
        """Share of the last sampling period in which a kernel ran (%)."""
        rates = _told(lambda: pynvml.nvmlDeviceGetUtilizationRates(self._handle))
        return None if rates is None else float(rates.gpu)

    def memory_bytes(self) -> int | None:
        """Memory in use by all processes (bytes)."""
        info = _told(lambda: pynvml.nvmlDeviceGetMemoryInfo(self._handle))
        return None if info is None else int(info.used)

    def clock_hz(self, kind: int) -> float | None:
        """Current clock (Hz): ``pynvml.NVML_CLOCK_SM`` or ``NVML_CLOCK_MEM``."""
        mhz = _told(lambda: pynvml.nvmlDeviceGetClockInfo(self._handle, kind))
        return None if mhz is None else mhz * MEGA

    def throttle_reasons(self) -> tuple[str, ...] | None:
        """Names of what lowers the clocks now; ``None`` where the driver does not tell."""
        for call in THROTTLE_CALLS:
            bits = _told(lambda call=call: getattr(pynvml, call)(self._handle))  # type: ignore[misc]
            if bits is not None:
                return throttle_names(int(bits))
        return None

    def process_ids(self) -> tuple[int, ...]:
        """Processes with a compute or graphics context on the device, this one included."""
        found = [
            *(_told(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(self._handle)) or ()),
            *(_told(lambda: pynvml.nvmlDeviceGetGraphicsRunningProcesses(self._handle)) or ()),
        ]
        return tuple(sorted({int(process.pid) for process in found}))

    @property
    def label(self) -> str:
        """The product's name, with what the energy is of where that is more than the GPU."""
        return f"{self.name} (module: GPU, processor and memory)" if self.module else self.name

    def _instant_w(self, scope: int) -> float | None:
        asked = [(POWER_INSTANT, scope)]
        values = _supported(lambda: pynvml.nvmlDeviceGetFieldValues(self._handle, asked))
        if not values or values[0].nvmlReturn != pynvml.NVML_SUCCESS:
            return None
        return from_milli(values[0].value.uiVal)


def _supported(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
        return None


def _told(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except pynvml.NVMLError:
        return None
