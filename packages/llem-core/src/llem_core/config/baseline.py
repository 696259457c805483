"""Idle power: ``baseline`` in an experiment file."""

from __future__ import annotations

from pydantic import Field

from llem_core.contracts.config import StrictModel


class BaselineConfig(StrictModel):
    """Idle power, measured before the model is loaded and again with it loaded.

    The loaded one is subtracted for the adjusted energy; gross energy is always reported.
    """

    enabled: bool = Field(True, description="Measure the baselines.")
    duration_seconds: float = Field(
        30.0, ge=0.1, le=3600, description="Length of each of the two baselines (s)."
    )
    max_wait_seconds: float = Field(
        120.0,
        ge=0,
        le=3600,
        description="Wait so long, at the most, for a device that still cools from earlier work: "
        "the baseline is the first stretch in which its power does not fall (s).",
    )
    cache_ttl_seconds: float = Field(
        1800.0,
        ge=0,
        le=86_400,
        description="Within a study, a baseline is used again for this long (s); 0 measures it "
        "anew for each experiment. The one with the model loaded is used again by the same "
        "configuration alone.",
    )
