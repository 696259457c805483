"""Energy of a result: totals, domains, baselines, phases and the uncertainty budget."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llem_core.contracts.readings import DomainKind, EnergyMethod

_STRICT = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class DomainEnergy(BaseModel):
    """Energy of one domain (a GPU, a CPU package, DRAM) over the measured window."""

    model_config = _STRICT

    name: str = Field(description="UUID of a GPU, or the meter's own name of the domain.")
    kind: DomainKind = Field(description="What the domain is.")
    label: str | None = Field(description="Product name, where known.")
    used: bool = Field(description="Whether the experiment computed on it and it is in the total.")
    energy_j: float | None = Field(description="Energy (J).")
    method: EnergyMethod = Field(description="How it was come by.")
    reason: str | None = Field(description="Why energy_j is null.")
    resolution_j: float | None = Field(description="Smallest step of the reading (J).")
    cross_check_j: float | None = Field(description="The same by another method (J).")
    cross_check_method: EnergyMethod | None = Field(description="That method.")
    shared_with: list[str] = Field(description="Other processes seen on the device.")


class EnergyBreakdown(BaseModel):
    """What the total is made of. Sums are over the domains that the experiment used."""

    model_config = _STRICT

    gpu_j: float | None = Field(description="GPUs in use (J); null where none was measured.")
    cpu_j: float | None = Field(description="CPU packages (J); null where not measured.")
    dram_j: float | None = Field(description="Memory (J); null where not measured.")
    other_j: float | None = Field(description="Other meters, such as wall power (J).")
    domains: list[DomainEnergy] = Field(description="Every domain seen, unused devices included.")


class IdlePower(BaseModel):
    """Idle power over the domains that the experiment used."""

    model_config = _STRICT

    power_w: float | None = Field(description="Mean power (W).")
    reason: str | None = Field(description="Why power_w is null.")
    spread_w: float | None = Field(
        description="Standard deviation of the mean power of equal parts of the baseline (W)."
    )
    standard_error_w: float | None = Field(
        description="Standard uncertainty of power_w: spread over the root of the number of parts, "
        "and the meter's own (W)."
    )
    n_parts: int = Field(description="Parts that the baseline was divided into.")
    duration_s: float = Field(description="Length (s).")
    age_s: float = Field(description="Age when the measured window opened (s).")
    per_device_w: dict[str, float] = Field(description="Mean power by domain (W).")


class BudgetTerm(BaseModel):
    """One term of the uncertainty budget."""

    model_config = _STRICT

    name: str = Field(description="What it comes from.")
    standard_j: float = Field(description="Standard uncertainty, k = 1 (J).")
    scope: Literal["comparison", "absolute"] = Field(
        description="`comparison` varies from run to run on one card; `absolute` is common to all."
    )
    applies_to: Literal["total", "adjusted"] = Field(
        description="`total` terms enter both energies, `adjusted` terms the adjusted one alone."
    )
    share: float = Field(
        description="Its share of the variance behind the widest of the figures, 0 to 1."
    )


class UncertaintyBudget(BaseModel):
    """Where the uncertainty of the energy comes from. Figures are expanded (k × standard)."""

    model_config = _STRICT

    coverage: float = Field(description="Probability that the true value lies in the interval.")
    coverage_factor: float = Field(description="k.")
    comparison_j: float = Field(description="Of energy_total_j, against runs on the same card (J).")
    absolute_j: float = Field(description="Of energy_total_j as absolute joules (J).")
    adjusted_comparison_j: float | None = Field(description="Of energy_adjusted_j (J).")
    adjusted_absolute_j: float | None = Field(description="Of energy_adjusted_j (J).")
    terms: list[BudgetTerm] = Field(description="The terms, largest first.")


class PhaseEnergy(BaseModel):
    """Energy of prefill and decode, from separate passes."""

    model_config = _STRICT

    prefill_j: float | None = Field(description="Prefill of all prompts (J).")
    decode_j: float | None = Field(description="Decode of all outputs (J).")
    prefill_uncertainty_j: float | None = Field(description="Comparison uncertainty, expanded (J).")
    decode_uncertainty_j: float | None = Field(description="Comparison uncertainty, expanded (J).")
    prefill_duration_s: float | None = Field(description="Time of one prefill pass (s).")
    prefill_passes: int = Field(description="Prefill passes that the mean was taken over.")
    reason: str | None = Field(description="Why a phase is null.")
