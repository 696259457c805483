"""What LLenergyMeasure finds of this distribution: the sampler ``zeus``."""

from __future__ import annotations

from llem_core.contracts import EnergySampler, SamplerSettings, SamplerSpec, hookimpl

from llem_energy_zeus.availability import zeus_availability
from llem_energy_zeus.config import ZeusConfig

LLEM_CONTRACT = 2


def _create(settings: SamplerSettings) -> EnergySampler:
    from llem_energy_zeus.sampler import ZeusSampler

    return ZeusSampler(settings)


@hookimpl
def llem_samplers() -> list[SamplerSpec]:
    """Name the sampler ``zeus``."""
    return [
        SamplerSpec(
            name="zeus",
            summary="Zeus: energy counters of GPUs, and RAPL for CPU packages and memory.",
            priority=200,
            create=_create,
            availability=zeus_availability,
            section=ZeusConfig,
            remedy="use a GPU of the Volta generation or newer with its driver, or make the files "
            "/sys/class/powercap/intel-rapl/*/energy_uj readable",
        )
    ]
