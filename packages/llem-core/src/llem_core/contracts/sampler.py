"""The contract of an energy sampler: whatever reads joules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llem_core.contracts.readings import Availability, EnergyReading, SensorProbe
from llem_core.contracts.section import Section


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
    """Reads energy over named windows.

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

        LLEM_CONTRACT = 1
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

    @abstractmethod
    def start(self) -> None:
        """Open the meter.

        Raises:
            EnergyError: the meter was available but cannot be opened.
        """

    @abstractmethod
    def begin(self, window: str) -> None:
        """Open a window; it starts when this returns."""

    @abstractmethod
    def end(self, window: str) -> EnergyReading:
        """Close a window; it ended when this was called."""

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
            taken; 0 or less is never taken by itself. Measured beats estimated: the shipped
            ones have 300 (zeus), 200 (nvml) and 100 (codecarbon).
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
    """

    name: str
    summary: str
    priority: int
    create: Callable[[SamplerSettings], EnergySampler]
    availability: Callable[[], Availability]
    section: type[Section] | None = None
    remedy: str = ""
    probe: Callable[[], Sequence[SensorProbe]] | None = None


def user_data_folder(plugin: str) -> Path:
    """Where a plugin keeps what it has learnt of this machine, for later runs.

    Args:
        plugin: the plugin's name; each has a folder of its own, which need not exist yet.
    """
    import platformdirs

    return platformdirs.user_data_path("llenergymeasure") / plugin
