"""The section ``zeus`` of an experiment's energy configuration."""

from __future__ import annotations

from llem_core.contracts import Section
from pydantic import Field


class ZeusConfig(Section):
    """Settings of the Zeus sampler."""

    cpu: bool = Field(
        True,
        description="Read the CPU packages and their memory through RAPL where it is readable.",
    )
    power_samples: bool = Field(
        True,
        description="Sample each GPU's power and temperature for the time series, every "
        "`energy.sample_interval_ms`.",
    )
    gpu_counter_period_s: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Longest time between two updates of a GPU's energy counter, in seconds; "
        "sets the uncertainty of a window's edges.",
    )
