"""The contract of an energy sampler: whatever reads joules."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from llem_core.contracts.config import Section
from llem_core.contracts.hookspecs import Availability
from llem_core.errors import EnergyError

DomainKind = Literal["gpu", "cpu", "dram", "other"]
EnergyMethod = Literal["counter", "integrated", "estimated"]
Growth = Literal["constant", "root", "linear"]
"""How a term of an uncertainty grows with the window's length, in joules: not at all, such as an
error of the edges; with its root, such as the scatter between samples; as the energy does."""


@dataclass(frozen=True, slots=True)
class UncertaintyComponent:
    """One term of an uncertainty budget, as a standard uncertainty (k = 1) in joules.

    The attributes say how it is added and what would make it smaller; its name is for people alone.

    Attributes:
        name: ``edges``, ``quantisation``, ``sampling``, ``clock``, ``gain``, …
        standard_j: standard uncertainty.
        growth: how it grows with the window. It decides whether a longer one is advised.
        common_to_runs: whether all runs on the device share the error, such as the card's unknown
            gain. It then says nothing of how two runs compare, and is in absolute joules alone.
        common_to_devices: whether all devices of the reading share its cause, such as the edges of
            one window. Such terms of one name add as they are, and others as squares.
        scales_with_energy: whether it is an unknown factor of the energy that is the same in the
            baseline and in the window, such as a gain. Of the adjusted energy it is then the same
            share as of the gross one.
    """

    name: str
    standard_j: float
    growth: Growth = "constant"
    common_to_runs: bool = False
    common_to_devices: bool = False
    scales_with_energy: bool = False


@dataclass(frozen=True, slots=True)
class DomainReading:
    """Energy of one domain over one window.

    Attributes:
        name: unique in a reading: a GPU's UUID, ``cpu:0``, ``dram:0``, ``cpu``.
        kind: what the domain is.
        energy_j: joules, or ``None``.
        method: how they were obtained.
        reason: why ``energy_j`` is ``None``.
        label: what a person calls the device, such as its product name.
        resolution_j: smallest step of the reading.
        uncertainty: terms of its uncertainty budget; an estimate has none.
        cross_check_j: the same energy by another method, never used in its place.
        cross_check_method: that method.
        parts: UUIDs of what the domain holds and an engine may name in its place, such as the MIG
            instances of a board.
        shared_with: other processes seen on the device, as ``pid name``.
        visible: for a GPU, whether this process can compute on it; ``CUDA_VISIBLE_DEVICES``
            hides the others. ``None`` where the sampler cannot tell: the core then finds it out
            for GPUs that are named by UUID. It decides what is summed where a backend does not
            name its GPUs.
        host: name of the machine that it is in; ``None`` for this one. A model that computes on
            another machine (``DeviceInfo.host``) is given the domains of that machine alone, and
            one that computes here is given none of another.
    """

    name: str
    kind: DomainKind
    energy_j: float | None
    method: EnergyMethod
    reason: str | None = None
    label: str | None = None
    resolution_j: float | None = None
    uncertainty: tuple[UncertaintyComponent, ...] = ()
    cross_check_j: float | None = None
    cross_check_method: EnergyMethod | None = None
    parts: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    visible: bool | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class PowerSample:
    """One row of the time series.

    Attributes:
        time_s: ``time.monotonic()`` when the value was read.
        domain: ``DomainReading.name``.
        power_w: power, or ``None``.
        temperature_c: degrees Celsius.
        utilisation_percent: share of time in which a kernel ran, 0 to 100.
        memory_bytes: memory in use on the device, by all processes.
        sm_clock_hz: clock of the multiprocessors.
        memory_clock_hz: clock of the memory.
        throttle_reasons: names of the active ones; empty when none, ``None`` where the device
            does not tell.
    """

    time_s: float
    domain: str
    power_w: float | None
    temperature_c: float | None = None
    utilisation_percent: float | None = None
    memory_bytes: int | None = None
    sm_clock_hz: float | None = None
    memory_clock_hz: float | None = None
    throttle_reasons: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class EnergyReading:
    """Energy of one window, domain by domain.

    Attributes:
        window: the name that ``begin`` was given.
        started_s: ``time.monotonic()`` at which the window opened.
        ended_s: ``time.monotonic()`` at which it closed.
        domains: all that the sampler sees, devices that the run does not use included; the
            harness decides what is summed.
        samples: power and the rest over the window, oldest first; may be empty.
        sensor: facts of the sensor for the record (field read, update period, averaging
            window, driver, whether a passport was present); JSON types only.
        warnings: sentences on what may be wrong with this reading.
    """

    window: str
    started_s: float
    ended_s: float
    domains: tuple[DomainReading, ...]
    samples: tuple[PowerSample, ...] = ()
    sensor: dict[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length of the window in seconds."""
        return self.ended_s - self.started_s


@dataclass(frozen=True, slots=True)
class SensorProbe:
    """What a probe has measured of one device's sensors.

    Attributes:
        domain: ``DomainReading.name`` of the device.
        label: what a person calls it.
        values: figures by name, with the unit in the name; ``None`` where not measured.
        reasons: why a value is ``None``, by its name.
        notes: what else a person should know, as sentences.
        kept_at: the file that later runs read it from.
    """

    domain: str
    label: str
    values: dict[str, float | None]
    reasons: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kept_at: str | None = None


@dataclass(frozen=True, slots=True)
class UsedDevices:
    """What a model computes on.

    Attributes:
        kind: ``gpu`` if any of it is one.
        uuids: of the GPUs, as the engine names them; empty where it cannot.
        hosts: names of the machines that they are in; ``None`` stands for this one.
    """

    kind: Literal["cpu", "gpu"]
    uuids: frozenset[str] = frozenset()
    hosts: frozenset[str | None] = frozenset({None})


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """What a sampler is made with.

    Attributes:
        sample_interval_s: time between two samples of power, in seconds.
        section: the sampler's own section with its defaults filled in; ``None`` if it has none.
    """

    sample_interval_s: float
    section: Section | None = None


class EnergySampler(ABC):
    """Reads energy over named windows, or over any interval of time.

    A sampler has ``begin`` and ``end``, or ``energy_between``, or all three; what it lacks is made
    of what it has. ``begin`` and ``end`` are the simple form, for a meter that is read on the spot.
    ``energy_between`` is for a meter that keeps what it has seen: one that is read by others,
    answers late, or has a clock of its own.

    The harness calls ``start`` once before anything is measured, then ``begin`` and ``end``
    in pairs, and ``stop`` at last, whatever happened. Windows have unique names; they may be
    nested or overlap. ``start`` is the place for heavy imports and for threads: neither may
    fall into a window. Nothing is printed.

    ``begin`` and ``end`` may wait for the meter's next update, so that the window's edges
    coincide with it; the window that the reading is about still runs from the return of
    ``begin`` to the call of ``end``, and what lies outside is taken off again.

    All devices that the meter can see are reported, each as a ``DomainReading``; the harness
    picks those that the experiment used. A reading that failed, or a meter that silently
    measured nothing, is a domain with ``energy_j=None`` and a reason, never 0.

    A whole plugin::

        from llem_core.contracts import (
            Availability, DomainReading, EnergyReading, EnergySampler, SamplerSpec,
            UncertaintyComponent, hookimpl,
        )
        import pathlib, time

        LLEM_CONTRACT = 2
        METER = pathlib.Path("/run/wall-meter/energy_j")

        class WallMeter(EnergySampler):
            def start(self):
                self.open = {}

            def begin(self, window):
                self.open[window] = (float(METER.read_text()), time.monotonic())

            def end(self, window):
                ended_s = time.monotonic()
                before_j, started_s = self.open.pop(window)
                energy_j = float(METER.read_text()) - before_j
                domain = DomainReading(
                    "wall", "other", energy_j, method="counter", resolution_j=1.0,
                    # It counts whole joules: 1 J/√12 at each of two edges.
                    uncertainty=(UncertaintyComponent("quantisation", 0.41),),
                )
                return EnergyReading(window, started_s, ended_s, (domain,))

            def stop(self):
                self.open = {}

        def available():
            if METER.exists():
                return Availability(True, f"reads {METER}", domains=("other",))
            return Availability(False, f"{METER} does not exist; start the meter's service")

        @hookimpl
        def llem_samplers():
            return [SamplerSpec(
                name="wall", summary="Wall-power meter.", priority=0,
                create=WallMeter, availability=available,
            )]
    """

    def __init__(self, settings: SamplerSettings) -> None:
        self.settings = settings
        self._begun_s: dict[str, float] = {}

    @property
    def answers_intervals(self) -> bool:
        """Whether it has an ``energy_between`` of its own."""
        return type(self).energy_between is not EnergySampler.energy_between

    @property
    def delay_s(self) -> float:
        """How long after a moment its energy is known (s); who asks for it waits so long."""
        return 0.0

    @abstractmethod
    def start(self) -> None:
        """Open the meter.

        Raises:
            EnergyError: the meter was available but cannot be opened.
        """

    def begin(self, window: str) -> None:
        """Open a window; it starts when this returns."""
        self._needs_intervals()
        self._begun_s[window] = self.now_s()

    def end(self, window: str) -> EnergyReading:
        """Close a window; it ended when this was called.

        Raises:
            EnergyError: no window of that name is open.
        """
        ended_s = self.now_s()
        self._needs_intervals()
        if window not in self._begun_s:
            raise EnergyError(f"No window {window!r} is open.")
        started_s = self._begun_s.pop(window)
        self.wait(self.delay_s)
        return replace(self.energy_between(started_s, ended_s), window=window)

    def energy_between(self, started_s: float, ended_s: float) -> EnergyReading:
        """Energy of an interval since ``start``, asked for at its end or later.

        What is not known yet, or no longer, is a domain with ``energy_j=None`` and the reason.

        Args:
            started_s, ended_s: the interval, by ``time.monotonic()``. A meter with a clock of its
                own converts its times; what it does not know of the offset is a term of the
                uncertainty.
        """
        raise NotImplementedError(f"{type(self).__name__} measures windows alone")

    def now_s(self) -> float:
        """Monotonic time, which windows are measured by (s)."""
        return time.monotonic()

    def wait(self, duration_s: float) -> None:
        """Let time pass (s)."""
        time.sleep(duration_s)

    def _needs_intervals(self) -> None:
        if not self.answers_intervals:
            raise NotImplementedError(
                f"{type(self).__name__} has neither begin and end nor energy_between"
            )

    def use_devices(self, used: UsedDevices) -> None:  # noqa: B027 - a sampler may ignore it
        """Told once, when the model is loaded, which devices it computes on.

        A sampler may read the others less often from then on; it goes on reporting them.
        """

    @abstractmethod
    def stop(self) -> None:
        """Close the meter and end its threads; harmless when it is not open."""


@dataclass(frozen=True, slots=True)
class SamplerSpec:
    """How a sampler makes itself known; returned by the hook ``llem_samplers``.

    Attributes:
        name: the value of ``energy.sampler``: lower case, no dots.
        summary: one line on what it measures.
        priority: its place when ``energy.sampler`` is ``auto``: the highest usable one is
            taken; 0 or less is never taken by itself. Measured beats estimated: the shipped ones
            have 300 (nvml), 200 (zeus) and 100 (codecarbon).
        create: makes the sampler; cheap, heavy imports belong into ``start``.
        availability: whether it can measure here and why; must not print, and should take
            well under a second.
        section: class of its configuration, if it has any.
        remedy: what to install or do where it is not usable, for the summary of a run
            without any meter.
        probe: measures the sensors themselves (`llem config --probe`): how often they are
            updated, what they average over, how late they are. Takes seconds, may put load on
            a device, and keeps what it finds for later runs in ``user_data_folder``. ``None``
            where there is nothing to be measured. Raises ``EnergyError`` where it cannot be.
        estimates: whether it may estimate what it cannot measure. `auto` takes it only where
            nothing measures the device.
    """

    name: str
    summary: str
    priority: int
    create: Callable[[SamplerSettings], EnergySampler]
    availability: Callable[[], Availability]
    section: type[Section] | None = None
    remedy: str = ""
    probe: Callable[[], Sequence[SensorProbe]] | None = None
    estimates: bool = False


def user_data_folder(plugin: str) -> Path:
    """Where a plugin keeps what it has learnt of this machine, for later runs.

    Args:
        plugin: the plugin's name; each has a folder of its own, which need not exist yet.
    """
    import platformdirs

    return platformdirs.user_data_path("llenergymeasure") / plugin
