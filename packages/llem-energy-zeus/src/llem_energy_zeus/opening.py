"""Finds what Zeus can read on this machine and opens it.

All imports of Zeus are here.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from llem_core.meters import NVML_COUNTER, RAPL_COUNTER, RAPL_DRAM_COUNTER, WHOLE_BOARD, mig_board

from llem_energy_zeus.config import ZeusConfig
from llem_energy_zeus.devices import Device, Domain
from llem_energy_zeus.samples import PowerReader
from llem_energy_zeus.state import read_state
from llem_energy_zeus.wraps import WrapCounter
from llem_energy_zeus.zones import Unreadable, open_zones


@dataclass(frozen=True, slots=True)
class Opened:
    """All that was found.

    Attributes:
        devices: every device, those that cannot be read included.
        readers: power readers of the GPUs that have one.
        wraps: counters of wrap-arounds, to be polled.
        facts: of the sensor, for the record.
    """

    devices: tuple[Device, ...]
    readers: tuple[PowerReader, ...]
    wraps: tuple[WrapCounter, ...]
    facts: dict[str, object]


def open_devices(config: ZeusConfig) -> Opened:
    """Import Zeus and open a monitor for each device. Takes seconds; nothing is printed."""
    with _silence(), _all_gpus():
        from zeus.device import get_gpus
        from zeus.device.gpu.common import ZeusGPUInitError
        from zeus.monitor.energy import ZeusMonitor

        facts: dict[str, object] = {"library": f"zeus {metadata.version('zeus')}"}
        gpus = None
        try:
            gpus = get_gpus()
        except ZeusGPUInitError as error:
            facts["gpus_missing"] = str(error)
        devices, readers = _open_gpus(gpus, ZeusMonitor, config, facts)
        wraps: list[WrapCounter] = []
        if config.cpu:
            cpus, wraps = _open_cpus(ZeusMonitor, facts)
            devices += cpus
    return Opened(tuple(devices), tuple(readers), tuple(wraps), facts)


def _open_gpus(
    gpus: Any, monitor_class: Any, config: ZeusConfig, facts: dict[str, object]
) -> tuple[list[Device], list[PowerReader]]:
    import pynvml

    devices, readers = [], []
    for index in range(0 if gpus is None else len(gpus)):
        name, label = _identify(gpus, index)
        counter = replace(
            NVML_COUNTER, period_s=config.gpu_counter_period_s, limit_w=_limit(gpus, index)
        )
        reader = _power_reader(gpus, index, name) if config.power_samples else None
        field = None if reader is None else reader[1]
        handle = gpus.gpus[index].handle
        mig = mig_board(pynvml, handle)
        domain = Domain(
            name, "gpu", label, "gpu_energy", counter, field == "instant", mig.instances
        )
        broken = _counter_fault(gpus, index)
        monitor = None if broken else monitor_class(gpu_indices=[index], cpu_indices=[])
        devices.append(
            Device(
                index,
                (domain,),
                monitor,
                broken,
                list_pids=lambda handle=handle: _pids(handle),  # type: ignore[misc]
                notes=(f"MIG is on: the energy of {name} is that of {WHOLE_BOARD}.",)
                if mig.enabled
                else (),
            )
        )
        if reader is not None:
            readers.append(reader[0])
            facts["power_field"] = reader[1]
    if devices:
        facts["gpu_counter"] = "nvmlDeviceGetTotalEnergyConsumption, edges not aligned"
        facts["gpu_counter_period_s"] = config.gpu_counter_period_s
    return devices, readers


def _open_cpus(
    monitor_class: Any, facts: dict[str, object]
) -> tuple[list[Device], list[WrapCounter]]:
    from zeus.device import cpu as cpu_module
    from zeus.exception import ZeusBaseError

    try:
        cpus, unreadable = open_zones(cpu_module)
    except ZeusBaseError as error:
        facts["rapl_missing"] = str(error)
        return [], []
    devices: list[Device] = []
    wraps: list[WrapCounter] = []
    zones = [_zone_name(cpu) for cpu in cpus.cpus]
    kept, left_out = distinct_packages(zones)
    for index in kept:
        cpu, zone = cpus.cpus[index], zones[index]
        wraps += _count_wraps(cpu)
        domains = _cpu_domains(cpu, zone, cpus.supports_get_dram_energy_consumption(index))
        monitor = monitor_class(gpu_indices=[], cpu_indices=[index])
        devices.append(Device(index, domains, monitor))
    facts["rapl_packages"] = len(devices)
    broken = [_broken(one) for one in unreadable if one.name == "dram" or _is_package(one.name)]
    facts["rapl_zones_unreadable"] = [one.reason for one in unreadable]
    devices += broken
    facts["rapl_zones_left_out"] = left_out
    return devices, wraps


def distinct_packages(zones: Sequence[str]) -> tuple[list[int], list[str]]:
    """Which of the zones at RAPL's top are packages, each once, and what is left out and why.

    Zeus takes every zone there for a package. The zone psys is the whole platform with the packages
    in it, and some systems show a package twice: both would count energy twice.
    """
    kept: list[int] = []
    left_out: list[str] = []
    for index, zone in enumerate(zones):
        if not _is_package(zone):
            left_out.append(zone)
        elif zone in {zones[earlier] for earlier in kept}:
            left_out.append(f"{zone}, shown twice")
        else:
            kept.append(index)
    return kept, left_out


def _is_package(zone: str) -> bool:
    return zone.startswith("package")


def _broken(zone: Unreadable) -> Device:
    """What stands in readings for a zone that cannot be read."""
    number = zone.number
    if zone.name == "dram":
        domain = Domain(f"dram:{number}", "dram", "RAPL dram", "dram_energy", RAPL_DRAM_COUNTER)
    else:
        domain = Domain(f"cpu:{number}", "cpu", f"RAPL {zone.name}", "cpu_energy", RAPL_COUNTER)
    return Device(number, (domain,), broken=zone.reason)


def _zone_name(cpu: Any) -> str:
    return str(getattr(getattr(cpu, "rapl_file", None), "name", f"package-{cpu.cpu_index}"))


def _cpu_domains(cpu: Any, zone: str, has_dram: bool) -> tuple[Domain, ...]:
    number = cpu.cpu_index
    domains = [Domain(f"cpu:{number}", "cpu", f"RAPL {zone}", "cpu_energy", RAPL_COUNTER)]
    if has_dram:
        label = f"RAPL dram of {zone}"
        name = f"dram:{number}"
        domains.append(Domain(name, "dram", label, "dram_energy", RAPL_DRAM_COUNTER))
    return tuple(domains)


def _count_wraps(cpu: Any) -> Sequence[WrapCounter]:
    """Put our counter where Zeus would otherwise start an interpreter for each zone."""
    counters = []
    for zone in (getattr(cpu, "rapl_file", None), getattr(cpu, "dram", None)):
        # Zones read through Zeus's daemon have no file here; the daemon counts for them.
        if zone is not None and hasattr(zone, "_wraparound_tracker"):
            counter = WrapCounter(Path(zone.energy_uj_path))
            zone._wraparound_tracker = counter
            counters.append(counter)
    return counters


def _identify(gpus: Any, index: int) -> tuple[str, str | None]:
    """Give a GPU's UUID, or ``gpu:<index>`` where there is none, and its name."""
    import pynvml

    try:
        label = str(gpus.get_name(index))
    except Exception:  # noqa: BLE001 - a name is not worth a run, whatever the vendor's library raises
        label = None
    try:
        return str(pynvml.nvmlDeviceGetUUID(gpus.gpus[index].handle)), label
    except Exception:  # noqa: BLE001 - an AMD handle makes ctypes raise, a lost GPU NVML
        return f"gpu:{index}", label


def _counter_fault(gpus: Any, index: int) -> str | None:
    """Try the counter, so that Zeus does not start polling processes for a GPU without one."""
    try:
        if gpus.supports_get_total_energy_consumption(index):
            gpus.get_total_energy_consumption(index)
            return None
    except Exception as error:  # noqa: BLE001 - each vendor's library has errors of its own
        return f"its energy counter cannot be read ({error})"
    return "it has no energy counter (older than Volta); use the sampler nvml"


def _limit(gpus: Any, index: int) -> float | None:
    try:
        return float(gpus.get_power_management_limit(index)) / 1000.0
    except Exception:  # noqa: BLE001 - not every board tells its limit
        return None


def _power_reader(gpus: Any, index: int, name: str) -> tuple[PowerReader, str] | None:
    """Choose the best power field that a GPU has: instant before average."""
    for field in ("instant", "average"):
        read = getattr(gpus, f"get_{field}_power_usage")
        try:
            read(index)
        except Exception:  # noqa: BLE001, S112 - a field that a board lacks; the next one is tried
            continue
        reader = PowerReader(
            name,
            read_power_w=lambda: read(index) / 1000.0,  # noqa: B023 - returned at once
            read_temperature_c=lambda: gpus.get_gpu_temperature(index),
            read_state=partial(read_state, gpus.gpus[index].handle),
        )
        return reader, field
    return None


def _pids(handle: Any) -> list[int]:
    import pynvml

    return [process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)]


@contextlib.contextmanager
def _all_gpus() -> Iterator[None]:
    """Hide ``CUDA_VISIBLE_DEVICES`` while Zeus looks for GPUs.

    Zeus takes its entries for NVML indices: it fails on UUIDs, and CUDA's order need not be
    NVML's. Every GPU is reported by its UUID and the harness picks those in use.
    """
    hidden = os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    try:
        yield
    finally:
        if hidden is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = hidden


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what the libraries print and warn of off the terminal: amdsmi prints on import."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
