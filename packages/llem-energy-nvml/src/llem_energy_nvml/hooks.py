"""Registers the NVML sampler; imports no vendor library."""

from __future__ import annotations

from llem_core.contracts import (
    Availability,
    EnergySampler,
    SamplerSettings,
    SamplerSpec,
    SensorProbe,
    hookimpl,
)

LLEM_CONTRACT = 2


def _create(settings: SamplerSettings) -> EnergySampler:
    from llem_energy_nvml.sampler import NvmlSampler

    return NvmlSampler(settings)


def _availability() -> Availability:
    from llem_energy_nvml.availability import availability

    return availability()


def _probe() -> list[SensorProbe]:
    from llem_energy_nvml.probe.run import probe_all

    return probe_all()


@hookimpl
def llem_samplers() -> list[SamplerSpec]:
    """Name the sampler."""
    from llem_energy_nvml.config import NvmlConfig

    return [
        SamplerSpec(
            name="nvml",
            summary="Energy counters and power of NVIDIA GPUs, through NVML.",
            priority=300,
            create=_create,
            availability=_availability,
            section=NvmlConfig,
            probe=_probe,
            remedy="it needs an NVIDIA GPU and its driver",
        )
    ]
