"""Facts of the model that was measured, its compute, and the device's state meanwhile."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FlopsResult(BaseModel):
    """Floating-point operations of the measured window, by phase; padding is not counted."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    prefill_flops: float | None = Field(description="Processing the prompts (FLOP).")
    decode_flops: float | None = Field(description="Generating after the first token (FLOP).")
    total_flops: float | None = Field(
        description="Both (FLOP). A position attends to itself and those before it."
    )
    total_full_attention_flops: float | None = Field(
        None,
        description="As total_flops, with the scores of a prompt between all pairs of positions, "
        "masked or not: what eager kernels compute and torch's FlopCounterMode counts (FLOP).",
    )
    matrix_flops: float | None = Field(
        None, description="Of the total: matrix products within the layers (FLOP)."
    )
    attention_flops: float | None = Field(
        description="Of the total: scores and weighted values of attention (FLOP)."
    )
    output_projection_flops: float | None = Field(
        None, description="Of the total: logits, at the positions where they are made (FLOP)."
    )
    state_space_flops: float | None = Field(
        None,
        description="Of the total: convolutions and reading of the states in state-space layers "
        "(FLOP).",
    )
    padding_flops: float | None = Field(
        description="Spent on padded prompt positions beside the total, without attention (FLOP)."
    )
    flops_per_second: float | None = Field(description="total_flops over the window (FLOP/s).")
    peak_flops_per_second: float | None = Field(
        description="Dense peak of the devices in use at the weights' dtype (FLOP/s)."
    )
    model_flops_utilisation: float | None = Field(
        description="flops_per_second over peak_flops_per_second (dimensionless)."
    )
    parts: list[str] = Field(default_factory=list, description="What the total holds.")
    left_out: list[str] = Field(
        default_factory=list, description="What is computed and not in the total."
    )
    method: str = Field(description="How the figures were obtained.")
    confidence: Literal["high", "medium", "low"] = Field(
        description="`high`: within 2 % of a count of the operations; `medium`: in results of "
        "schema 1 alone; `low`: no figure, or one "
        "that lacks a part, which `left_out` names first."
    )
    reason: str | None = Field(description="Why figures are null.")


_STRICT = ConfigDict(
    extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False, protected_namespaces=()
)


class ModelRecord(BaseModel):
    """Facts of the loaded model."""

    model_config = _STRICT

    parameters: int | None = Field(description="All parameters.")
    parameters_non_embedding: int | None = Field(
        description="Without embeddings and output projection."
    )
    active_parameters_non_embedding: int | None = Field(
        description="Those that one token passes through (mixtures of experts)."
    )
    n_layers: int | None = Field(description="Transformer layers.")
    dtype: str | None = Field(description="dtype of the weights.")
    random_weights: bool = Field(description="Whether the weights are random.")
    devices: list[str] = Field(description="Devices that it computed on, as `name (UUID)`.")


class ThermalRecord(BaseModel):
    """Temperature and clocks of the devices in use over the measured window."""

    model_config = _STRICT

    temperature_start_c: float | None = Field(
        description="Of the hottest device at its first sample in the window (°C)."
    )
    temperature_end_c: float | None = Field(
        description="Of the hottest device at its last sample in the window (°C)."
    )
    temperature_max_c: float | None = Field(description="Highest of all samples (°C).")
    throttle_reasons: dict[str, float] | None = Field(
        description="Throttle reason to the share of samples that had it, 0 to 1; null where the "
        "device does not tell."
    )
    n_samples: int = Field(description="Samples with any of these readings.")
