"""Registers the DCGM sampler; imports nothing heavy."""

from __future__ import annotations

from llem_core.contracts import (
    Availability,
    EnergySampler,
    SamplerSettings,
    SamplerSpec,
    hookimpl,
)

LLEM_CONTRACT = 2


def _create(settings: SamplerSettings) -> EnergySampler:
    from llem_energy_dcgm.sampler import DcgmSampler

    return DcgmSampler(settings)


def _availability() -> Availability:
    from importlib.util import find_spec

    if find_spec("prometheus_client") is None:
        return Availability(
            False, "the package prometheus-client is missing; run `pip install prometheus-client`"
        )
    return Availability(
        True, "asks the exporter that dcgm.url names, when a run begins", domains=("gpu",)
    )


@hookimpl
def llem_samplers() -> list[SamplerSpec]:
    """Name the sampler; it is used by name alone, as it needs an address."""
    from llem_energy_dcgm.config import DcgmConfig

    return [
        SamplerSpec(
            name="dcgm",
            summary="GPUs of this host or another, through the DCGM exporter there.",
            priority=0,
            create=_create,
            availability=_availability,
            section=DcgmConfig,
            remedy="set `energy.sampler: dcgm` and dcgm.url",
        )
    ]
