"""What each NVML call that we use gives on this card, and how long it takes.

The two power fields are asked for at every scope: field 186 at scope 0 is the one that the sampler
reads, and whether its value is an unsigned integer of milliwatts is told by its type.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pynvml

from gpu_session.session import Session

MOST_S = 0.3
"""Time for all repetitions of one call (s)."""
SCOPES = (0, 1, 2)
FIELDS = {"POWER_AVERAGE": 185, "POWER_INSTANT": 186}
_TYPES = {
    getattr(pynvml, name): name.removeprefix("NVML_VALUE_TYPE_").lower()
    for name in dir(pynvml)
    if name.startswith("NVML_VALUE_TYPE_") and name != "NVML_VALUE_TYPE_COUNT"
}
_MEMBERS = {
    "double": "dVal",
    "unsigned_int": "uiVal",
    "unsigned_long": "ulVal",
    "unsigned_long_long": "ullVal",
    "signed_long_long": "sllVal",
    "signed_int": "siVal",
    "unsigned_short": "usVal",
}

Call = Callable[[Any], Any]
CALLS: dict[str, Call] = {
    "nvmlDeviceGetUUID": pynvml.nvmlDeviceGetUUID,
    "nvmlDeviceGetName": pynvml.nvmlDeviceGetName,
    "nvmlDeviceGetArchitecture": pynvml.nvmlDeviceGetArchitecture,
    "nvmlDeviceGetEnforcedPowerLimit": pynvml.nvmlDeviceGetEnforcedPowerLimit,
    "nvmlDeviceGetTotalEnergyConsumption": pynvml.nvmlDeviceGetTotalEnergyConsumption,
    "nvmlDeviceGetPowerUsage": pynvml.nvmlDeviceGetPowerUsage,
    "nvmlDeviceGetFieldValues": lambda h: pynvml.nvmlDeviceGetFieldValues(h, [186])[0].value.uiVal,
    "nvmlDeviceGetTemperatureV": lambda h: pynvml.nvmlDeviceGetTemperatureV(h, 0),
    "nvmlDeviceGetTemperature": lambda h: pynvml.nvmlDeviceGetTemperature(h, 0),
    "nvmlDeviceGetUtilizationRates": lambda h: pynvml.nvmlDeviceGetUtilizationRates(h).gpu,
    "nvmlDeviceGetMemoryInfo": lambda h: pynvml.nvmlDeviceGetMemoryInfo(h).used,
    "nvmlDeviceGetClockInfo": lambda h: pynvml.nvmlDeviceGetClockInfo(h, pynvml.NVML_CLOCK_SM),
    "nvmlDeviceGetCurrentClocksEventReasons": pynvml.nvmlDeviceGetCurrentClocksEventReasons,
    "nvmlDeviceGetComputeRunningProcesses": lambda h: [
        process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(h)
    ],
    "nvmlDeviceGetGraphicsRunningProcesses": lambda h: [
        process.pid for process in pynvml.nvmlDeviceGetGraphicsRunningProcesses(h)
    ],
    "nvmlDeviceGetMigMode": pynvml.nvmlDeviceGetMigMode,
    "nvmlDeviceGetHandleByIndex": lambda _: pynvml.nvmlDeviceGetHandleByIndex(0) is not None,
    "nvmlDeviceGetCount": lambda _: pynvml.nvmlDeviceGetCount(),
    "nvmlSystemGetDriverVersion": lambda _: pynvml.nvmlSystemGetDriverVersion(),
}
"""Every function of NVML that the sampler calls on a device, by name."""


def run(session: Session) -> None:
    """Call each function and read each field some hundred times."""
    pynvml.nvmlInit()
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        rows = [
            _measured(name, lambda call=call: _plain(call(handle)), session.scale.calls)
            for name, call in CALLS.items()
        ]
        session.note("calls", rows)
        fields = []
        for name, number in FIELDS.items():
            for scope in SCOPES:
                row = _measured(
                    f"{name} ({number}), scope {scope}",
                    lambda n=number, s=scope: _field(handle, n, s),
                    session.scale.calls,
                )
                fields.append(row)
        session.note("fields", fields)
    finally:
        pynvml.nvmlShutdown()


def _measured(name: str, call: Callable[[], Any], times: int) -> dict[str, Any]:
    """The last value of a call, or its error, and the latencies of all (µs)."""
    row: dict[str, Any] = {"name": name, "value": None, "type": None, "error": None}
    latencies_us: list[float] = []
    until_s = time.monotonic() + MOST_S
    while len(latencies_us) < times and (len(latencies_us) < 2 or time.monotonic() < until_s):
        started_ns = time.perf_counter_ns()
        try:
            value = call()
        except pynvml.NVMLError as error:
            row["error"] = f"{type(error).__name__}: {error}"
            value = None
        latencies_us.append((time.perf_counter_ns() - started_ns) / 1000)
        if isinstance(value, dict):
            row |= value
        else:
            row["value"], row["type"] = value, type(value).__name__
    return row | {
        "calls": len(latencies_us),
        "median_us": round(statistics.median(latencies_us), 1),
        "longest_us": round(max(latencies_us), 1),
    }


def _field(handle: Any, number: int, scope: int) -> dict[str, Any]:
    """One field's value, read as what its type says it is."""
    (found,) = pynvml.nvmlDeviceGetFieldValues(handle, [(number, scope)])
    if found.nvmlReturn != pynvml.NVML_SUCCESS:
        return {"error": str(pynvml.NVMLError(found.nvmlReturn))}
    kind = _TYPES.get(found.valueType, str(found.valueType))
    value = getattr(found.value, _MEMBERS[kind]) if kind in _MEMBERS else None
    return {
        "value": value,
        "type": kind,
        "as_unsigned_int": found.value.uiVal,
        "driver_us": found.latencyUsec,
    }


def _plain(value: Any) -> Any:
    """A value that JSON has."""
    if isinstance(value, list):
        return str(value)
    return value if isinstance(value, str | int | float | bool) else str(value)
