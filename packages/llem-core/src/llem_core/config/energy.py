"""How energy is measured: ``energy`` in an experiment file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from llem_core.contracts.config import StrictModel
from llem_core.units import from_milli


class EnergyConfig(StrictModel):
    """How energy is measured."""

    sampler: str | Annotated[list[str], Field(min_length=1)] | None = Field(
        "auto",
        description="Name of the sampler, or a list of names: each domain (a GPU, the CPU package, "
        "the memory) is read by the first of them that has it. `auto` takes the best usable one "
        "for each domain; null measures no energy, on purpose.",
    )
    sample_interval_ms: Annotated[int, Field(strict=True, ge=10, le=60_000)] = Field(
        100, description="Time between two samples of power (ms)."
    )
    cross_check: bool | str = Field(
        True,
        description="Hold the energy of record against a second method over the same window, "
        "where the sampler has one, or against the sampler of this name; it never replaces it.",
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
    def sampler_names(self) -> tuple[str, ...]:
        """The samplers that are named; empty for `auto` and null."""
        if self.sampler is None or self.sampler == "auto":
            return ()
        return (self.sampler,) if isinstance(self.sampler, str) else tuple(self.sampler)

    @property
    def check_name(self) -> str | None:
        """The sampler that is named for the cross-check."""
        return self.cross_check if isinstance(self.cross_check, str) else None

    @property
    def sample_interval_s(self) -> float:
        """``sample_interval_ms`` in seconds."""
        return from_milli(self.sample_interval_ms)
