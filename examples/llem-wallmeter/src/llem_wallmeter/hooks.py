"""Registers the sampler; what the entry point names, so it imports nothing heavy."""

from __future__ import annotations

from llem_core.contracts import Availability, EnergySampler, SamplerSettings, SamplerSpec, hookimpl

from llem_wallmeter.config import WallMeterConfig

LLEM_CONTRACT = 2


def _create(settings: SamplerSettings) -> EnergySampler:
    from llem_wallmeter.sampler import WallMeterSampler

    return WallMeterSampler(settings)


def _availability() -> Availability:
    from llem_wallmeter.source import availability

    return availability()


WALLMETER = SamplerSpec(
    name="wallmeter",
    summary="A meter in the mains lead, read from a file or a socket.",
    # Never by itself: it sees the whole machine, which is not what NVML's figures are about.
    priority=0,
    create=_create,
    availability=_availability,
    section=WallMeterConfig,
    remedy="set wallmeter.source to the meter's file or socket",
)


@hookimpl
def llem_samplers() -> list[SamplerSpec]:
    """Name the sampler."""
    return [WALLMETER]
