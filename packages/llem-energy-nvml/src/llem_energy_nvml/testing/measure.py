"""One window of the real sampler over simulated GPUs, with the true joules beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.contracts import DomainReading, EnergyReading, SamplerSettings

from llem_energy_nvml.clock import Clock
from llem_energy_nvml.config import NvmlConfig
from llem_energy_nvml.probe.passports import Passports
from llem_energy_nvml.sampler import NvmlSampler
from llem_energy_nvml.testing.clock import VirtualClock
from llem_energy_nvml.testing.gpu import SimulatedGpu
from llem_energy_nvml.testing.install import simulated_driver


@dataclass(frozen=True, slots=True)
class Simulated:
    """What the sampler read, and what was true.

    Attributes:
        reading: of the window.
        true_j: true energy of each GPU over the reading's window (J).
        told_j: the same with the card's own gain and offset (J).
    """

    reading: EnergyReading
    true_j: tuple[float, ...]
    told_j: tuple[float, ...]

    @property
    def domain(self) -> DomainReading:
        """The reading of the first GPU."""
        return self.reading.domains[0]


def measure_window(
    gpus: Sequence[SimulatedGpu],
    duration_s: float,
    *,
    config: NvmlConfig | None = None,
    interval_s: float = 0.1,
    lead_s: float = 1.5,
    clock: Clock | None = None,
    passports: Passports | None = None,
) -> Simulated:
    """Run the sampler over one window.

    Args:
        gpus: the devices.
        duration_s: length of the window.
        config: the sampler's section.
        interval_s: time between two samples.
        lead_s: time between the sampler's start and the window.
        clock: time; simulated if not given, so that it costs none.
        passports: what is known of the devices' sensors; none is used if not given.
    """
    used = clock or VirtualClock()
    section = config or NvmlConfig(passport=passports is not None)
    with simulated_driver(gpus, clock=used) as now:
        origin_s = used.now() - now()
        sampler = NvmlSampler(SamplerSettings(interval_s, section), used, passports)
        sampler.start()
        try:
            used.sleep(lead_s)
            sampler.begin("window")
            used.sleep(duration_s)
            reading = sampler.end("window")
        finally:
            sampler.stop()
    edges = (reading.started_s - origin_s, reading.ended_s - origin_s)
    return Simulated(
        reading,
        tuple(gpu.true_joules(*edges) for gpu in gpus),
        tuple(gpu.told_joules(*edges) for gpu in gpus),
    )
