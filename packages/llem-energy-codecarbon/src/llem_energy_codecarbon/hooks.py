"""What LLenergyMeasure finds of this distribution: the sampler ``codecarbon``."""

from __future__ import annotations

from llem_core.contracts import EnergySampler, SamplerSettings, SamplerSpec, hookimpl

from llem_energy_codecarbon.availability import codecarbon_availability
from llem_energy_codecarbon.config import CodeCarbonConfig

LLEM_CONTRACT = 2


def _create(settings: SamplerSettings) -> EnergySampler:
    from llem_energy_codecarbon.sampler import CodeCarbonSampler

    return CodeCarbonSampler(settings)


@hookimpl
def llem_samplers() -> list[SamplerSpec]:
    """Name the sampler ``codecarbon``."""
    return [
        SamplerSpec(
            name="codecarbon",
            summary="CodeCarbon: RAPL and NVML where they can be read, estimates elsewhere.",
            priority=100,
            estimates=True,
            create=_create,
            availability=codecarbon_availability,
            section=CodeCarbonConfig,
        )
    ]
