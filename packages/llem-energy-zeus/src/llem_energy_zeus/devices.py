"""One device read by one ``ZeusMonitor`` of its own.

A monitor that has several devices loses a window for all of them when one fails, so each
device gets one; monitors are cheap and share Zeus's handles.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from llem_core.contracts import DomainKind
from llem_core.meters import CounterFacts, DeviceProcesses

Source = Literal["gpu_energy", "cpu_energy", "dram_energy"]


@dataclass(frozen=True, slots=True)
class Domain:
    """One kind of energy of a device.

    Attributes:
        name: name in the reading.
        kind: kind in the reading.
        label: what a person calls it.
        source: the field of Zeus's ``Measurement`` that has it.
        counter: facts of its counter.
        sampled_well: whether its power samples may be integrated: the instant field may, and
            the one that averages over the last second lags too far behind.
        parts: MIG instances of a board.
    """

    name: str
    kind: DomainKind
    label: str | None
    source: Source
    counter: CounterFacts
    sampled_well: bool = False
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """A device and the monitor that reads it.

    Attributes:
        index: the device's index inside Zeus.
        domains: what it has.
        monitor: its ``ZeusMonitor``; ``None`` if it cannot be read.
        broken: why it cannot be read.
        list_pids: lists the processes on it.
        notes: sentences that every reading of it must carry.
        processes: those that were on it when the sampler was started, and since.
    """

    index: int
    domains: tuple[Domain, ...]
    monitor: Any = None
    broken: str | None = None
    list_pids: Callable[[], list[int]] | None = None
    notes: tuple[str, ...] = ()
    processes: DeviceProcesses | None = None


@dataclass(slots=True)
class Window:
    """A window that is open on a device: why it failed to open, and who else was there."""

    failed: str | None = None
    others: set[str] = field(default_factory=set)


def begin(device: Device, window: str) -> str | None:
    """Open a window on a device.

    Returns:
        Why it could not be opened; ``None`` if it is open.
    """
    if device.monitor is None:
        return device.broken or "Zeus cannot read it"
    try:
        device.monitor.begin_window(_key(device, window), sync_execution=False)
    except Exception as error:  # noqa: BLE001 - Zeus, NVML and the file system have no common base
        return _sentence("open", error)
    return None


def end(device: Device, window: str) -> dict[str, float] | str:
    """Close a window on a device.

    Returns:
        Joules by domain name, without those that Zeus left out; or why there are none.
    """
    try:
        # Zeus warns of a count that did not move; that becomes the reading's reason.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            measured = device.monitor.end_window(_key(device, window), sync_execution=False)
    except Exception as error:  # noqa: BLE001 - as in begin
        return _sentence("close", error)
    energies_j = {}
    for domain in device.domains:
        by_index = getattr(measured, domain.source) or {}
        if device.index in by_index:
            energies_j[domain.name] = float(by_index[device.index])
    return energies_j


def _key(device: Device, window: str) -> str:
    # Unique over all monitors: an SoC's monitor is shared by them.
    return f"{window}/{device.domains[0].name}"


def _sentence(verb: str, error: Exception) -> str:
    return f"Zeus could not {verb} the window ({type(error).__name__}: {error})"
