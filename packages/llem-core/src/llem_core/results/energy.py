"""Energy of a result: totals, domains, baselines, phases and the uncertainty budget."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llem_core.contracts.sampler import DomainKind, EnergyMethod, Growth

_STRICT = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class DomainEnergy(BaseModel):
    """Energy of one domain (a GPU, a CPU package, DRAM) over the measured window."""

    model_config = _STRICT

    name: str = Field(description="UUID of a GPU, or the meter's own name of the domain.")
    kind: DomainKind = Field(description="What the domain is.")
    label: str | None = Field(description="Product name, where known.")
    host: str | None = Field(
        None, description="Machine that it is in; null for the one that the run was on."
    )
    used: bool = Field(description="Whether the experiment computed on it and it is in the total.")
    energy_j: float | None = Field(description="Energy (J).")
    method: EnergyMethod = Field(description="How it was obtained.")
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
    estimated_j: float | None = Field(
        None,
        description="Estimated energy of domains that the run used and nothing measures, such as "
        "the host's memory beside a measured GPU (J). It is in no other sum; null where there is "
        "none, or the total itself is estimated.",
    )
    domains: list[DomainEnergy] = Field(description="Every domain seen, unused devices included.")


class BaselinePower(BaseModel):
    """Idle power over the domains that the experiment used."""

    model_config = _STRICT

    power_w: float | None = Field(description="Mean power (W).")
    reason: str | None = Field(description="Why power_w is null.")
    spread_w: float | None = Field(
        description="Standard deviation of the mean power of equal parts of the baseline (W)."
    )
    standard_uncertainty_w: float | None = Field(
        description="Standard uncertainty of power_w (W): of the scatter of the parts and the "
        "meter's own, the larger."
    )
    trend_w: float | None = Field(
        description="Change of power from the baseline's start to its end, by a straight line "
        "through its parts (W)."
    )
    n_parts: int = Field(description="Parts that the baseline was divided into.")
    duration_s: float = Field(description="Length (s).")
    age_s: float = Field(description="Age when the measured window opened (s).")
    cached: bool = Field(
        description="Whether it was measured by an earlier experiment of the study."
    )
    per_device_w: dict[str, float] = Field(description="Mean power by domain (W).")


class BudgetTerm(BaseModel):
    """One term of the uncertainty budget, as a standard uncertainty (k = 1)."""

    model_config = _STRICT

    name: str = Field(description="What it comes from.")
    scope: Literal["comparison", "absolute"] = Field(
        description="`comparison` varies from run to run on one card; `absolute` is common to all."
    )
    growth: Growth = Field(
        "constant",
        description="How it grows with the window: not at all, with the root of its length, or as "
        "the energy does.",
    )
    total_j: float = Field(description="In energy_total_j (J).")
    adjusted_j: float | None = Field(
        description="In energy_adjusted_j (J); null where there is none."
    )


class FigureBudget(BaseModel):
    """How one of the stated uncertainties is made up."""

    model_config = _STRICT

    energy: Literal["total", "adjusted"] = Field(description="Which energy it belongs to.")
    scope: Literal["comparison", "absolute"] = Field(
        description="`comparison`: between runs on one card; `absolute`: as joules."
    )
    standard_j: float = Field(description="Combined standard uncertainty, k = 1 (J).")
    expanded_j: float = Field(description="k × standard_j (J).")
    shares: dict[str, float] = Field(
        description="Name of a term to its share of the variance; they sum to 1."
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
    figures: list[FigureBudget] = Field(description="How each of them is made up.")
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
