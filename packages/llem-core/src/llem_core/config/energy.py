"""How energy is measured: ``energy`` in an experiment file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from llem_core.contracts.config import StrictModel
from llem_core.units import from_milli


class EnergyConfig(StrictModel):
    """How energy is measured."""

    sampler: str | None = Field(
        "auto",
        description="Name of the sampler; `auto` takes the best usable one; null measures no "
        "energy, on purpose.",
    )
    sample_interval_ms: Annotated[int, Field(strict=True, ge=10, le=60_000)] = Field(
        100, description="Time between two samples of power (ms)."
    )
    cross_check: bool = Field(
        True,
        description="Hold the energy of record against a second method over the same window, "
        "where the sampler has one; it never replaces it.",
    )
    cross_check_threshold: float = Field(
        0.05,
        gt=0,
        description="Warn when the two differ by more than this share of the energy of record.",
    )
    phase_energy: bool = Field(
        False, description="Measure prefill and decode apart, by additional passes."
    )

    @property
    def sample_interval_s(self) -> float:
        """``sample_interval_ms`` in seconds."""
        return from_milli(self.sample_interval_ms)
