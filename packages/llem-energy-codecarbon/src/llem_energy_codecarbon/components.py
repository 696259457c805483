"""CodeCarbon's hardware objects, each as a component that can be measured.

``OfflineEmissionsTracker`` finds the hardware; its own loop is not used. The loop sums up
all GPUs, turns a failed read into 0 W without telling, and measures on a thread of its own
with no lock against a measurement that is asked for at a window's edge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

from llem_core.contracts import DomainKind, EnergyMethod
from llem_core.meters import (
    NVML_COUNTER,
    RAPL_COUNTER,
    WHOLE_BOARD,
    CounterFacts,
    MigBoard,
    mig_board,
)
from llem_core.units import kwh_to_joules

RAPL = replace(RAPL_COUNTER, limit_w=16_000.0)
"""CodeCarbon adds up all packages; the limit is more than those of any machine draw together."""

COUNTER_MODES = {"intel_rapl", "windows_emi", "intel_power_gadget"}
"""Modes in which CodeCarbon reads the processor's own energy count."""


@dataclass(frozen=True, slots=True)
class Domain:
    """One kind of energy that CodeCarbon tells.

    Attributes:
        name: name in the reading.
        kind: kind in the reading.
        label: what a person calls it.
        method: how its energy is obtained.
        meter: facts of its meter; ``None`` for an estimate.
        parts: MIG instances of a board.
    """

    name: str
    kind: DomainKind
    label: str | None
    method: EnergyMethod
    meter: CounterFacts | None = None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """Energy of one domain since the last measurement.

    Attributes:
        domain: its name.
        energy_j: joules.
        lost: why nothing was measured, although a number came back.
    """

    domain: str
    energy_j: float
    lost: str | None = None


class Component(Protocol):
    """Something that tells the energy of its domains since it was last asked."""

    @property
    def domains(self) -> tuple[Domain, ...]:
        """What it tells the energy of."""
        ...

    def start(self) -> None:
        """Forget what was before."""
        ...

    def measure(self, duration_s: float) -> list[Share]:
        """Tell the energy of the last ``duration_s`` seconds."""
        ...


class Processor:
    """CodeCarbon's ``CPU``: RAPL, or a model of the load times the thermal design power."""

    def __init__(self, hardware: Any) -> None:
        self._hardware = hardware
        self.mode = str(hardware._mode)
        self.tdp_w = None if self.mode in COUNTER_MODES else float(hardware._tdp)
        model = str(hardware.get_model() or "CPU")
        measured = self.mode in COUNTER_MODES
        method: EnergyMethod = "counter" if measured else "estimated"
        self.domains = (Domain("cpu", "cpu", model, method, RAPL if measured else None),)

    def start(self) -> None:
        """Forget what was before."""
        self._hardware.start()

    def measure(self, duration_s: float) -> list[Share]:
        """Tell the processor's energy of the last ``duration_s`` seconds."""
        _, energy = self._hardware.measure_power_and_energy(last_duration=duration_s)
        return [Share("cpu", kwh_to_joules(energy.kWh), self._lost())]

    def _lost(self) -> str | None:
        interface = getattr(self._hardware, "_intel_interface", None)
        zones = getattr(interface, "_rapl_files", None)
        if self.mode != "intel_rapl":
            return None
        if not zones:
            return "CodeCarbon found no RAPL zone that it can read"
        # A zone that could not be read, or that fell, counts as 0 J without an error.
        if any(zone.sample_skipped for zone in zones):
            return "CodeCarbon could not read a RAPL zone during the window"
        return None


class Memory:
    """CodeCarbon's ``RAM``: a model of the memory's size, never a measurement."""

    domains = (Domain("ram", "dram", "memory, by CodeCarbon's model of its size", "estimated"),)

    def __init__(self, hardware: Any) -> None:
        self._hardware = hardware

    def start(self) -> None:
        """Forget what was before."""
        self._hardware.start()

    def measure(self, duration_s: float) -> list[Share]:
        """Tell the memory's energy of the last ``duration_s`` seconds."""
        power, energy = self._hardware.measure_power_and_energy(last_duration=duration_s)
        lost = None if power.W > 0 else "CodeCarbon could not tell the memory's size"
        return [Share("ram", kwh_to_joules(energy.kWh), lost)]


class Board:
    """One of CodeCarbon's GPU devices: NVML's counter, or power where it has none.

    Args:
        device: CodeCarbon's device.
        make_time: makes CodeCarbon's ``Time`` of seconds.
    """

    def __init__(self, device: Any, make_time: Any) -> None:
        self._device = device
        self._make_time = make_time
        static = device.get_static_details()
        self._name = str(static.get("uuid") or f"gpu:{static['gpu_index']}")
        self._has_counter = bool(device._has_counter)
        limit_w = static.get("power_limit")
        meter = replace(NVML_COUNTER, limit_w=None if limit_w is None else float(limit_w))
        method: EnergyMethod = "counter" if self._has_counter else "integrated"
        label = static.get("name")
        mig = _mig(device)
        if mig.enabled:
            # CodeCarbon does not tell instances apart: the joules are those of all of them.
            label = f"{label}, {WHOLE_BOARD}"
        self.domains = (Domain(self._name, "gpu", label, method, meter, mig.instances),)

    def start(self) -> None:
        """Forget what was before."""
        self._device.start()

    def measure(self, duration_s: float) -> list[Share]:
        """Tell the board's energy of the last ``duration_s`` seconds."""
        told = self._device.delta(self._make_time(duration_s))
        energy_j = kwh_to_joules(told["delta_energy_consumption"].kWh)
        return [Share(self._name, energy_j, self._lost(told["power_usage"].W))]

    def _lost(self, power_w: float) -> str | None:
        if not self._device._use_power_fallback:
            return None
        if self._has_counter:
            # CodeCarbon goes on with one reading of power and settles the difference in a
            # later interval, which may be another window's. Starting anew prevents that.
            self._device.start()
            return "its energy counter was reset or could not be read during the window"
        return None if power_w > 0 else "its power could not be read during the window"


def _mig(device: Any) -> MigBoard:
    try:
        import pynvml
    except ImportError:  # AMD's boards are read without it
        return MigBoard()
    return mig_board(pynvml, getattr(device, "handle", None))


class Chip:
    """CodeCarbon's meters of Apple's chips and of a Raspberry Pi: power times time."""

    def __init__(self, hardware: Any) -> None:
        self._hardware = hardware
        part = str(hardware.chip_part).upper()
        kinds: dict[str, DomainKind] = {"CPU": "cpu", "GPU": "gpu", "RAM": "dram"}
        self._name = part.lower()
        # No published figure of these meters' error is known, so they have no budget.
        self.domains = (
            Domain(self._name, kinds.get(part, "other"), str(hardware.get_model()), "integrated"),
        )

    def start(self) -> None:
        """Forget what was before."""
        self._hardware.start()

    def measure(self, duration_s: float) -> list[Share]:
        """Tell the part's energy of the last ``duration_s`` seconds."""
        power, energy = self._hardware.measure_power_and_energy(last_duration=duration_s)
        lost = None if power.W > 0 else "its meter gave no power during the window"
        return [Share(self._name, kwh_to_joules(energy.kWh), lost)]


def make_components(hardware: list[Any], make_time: Any) -> list[Component]:
    """Wrap CodeCarbon's hardware objects, GPUs first.

    CodeCarbon looks for them in parallel, so that their own order changes from run to run.

    Raises:
        AttributeError: this version of CodeCarbon has other objects than those known.
    """
    components: list[Component] = []
    for item in hardware:
        match type(item).__name__:
            case "CPU":
                components.append(Processor(item))
            case "RAM":
                components.append(Memory(item))
            case "GPU":
                components += [Board(device, make_time) for device in item.devices.devices]
            case "AppleSiliconChip" | "Raspberry":
                components.append(Chip(item))
            case unknown:
                raise AttributeError(f"no such hardware is known: {unknown}")
    order = ("gpu", "cpu", "dram", "other")
    return sorted(components, key=lambda component: order.index(component.domains[0].kind))
