"""Facts of the model that was measured, its compute, and the device's state meanwhile."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FlopsResult(BaseModel):
    """Floating-point operations of the measured window, by phase; padding is not counted."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    prefill_flops: float | None = Field(description="Processing the prompts (FLOP).")
    decode_flops: float | None = Field(description="Generating after the first token (FLOP).")
    total_flops: float | None = Field(description="Both (FLOP).")
    attention_flops: float | None = Field(description="Of the total: the attention term (FLOP).")
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
    method: str = Field(description="How the figures were come by.")
    confidence: Literal["high", "medium", "low"] = Field(
        description="`high`: dense model of known shape; `medium`: mixture of experts, or the "
        "attention term is unknown; `low`: no figure, or a rough one."
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
        description="At the first sample (°C), hottest device."
    )
    temperature_end_c: float | None = Field(description="At the last sample (°C), hottest device.")
    temperature_max_c: float | None = Field(description="Highest of all samples (°C).")
    throttle_reasons: dict[str, float] = Field(
        description="Throttle reason to the share of samples that had it, 0 to 1."
    )
    n_samples: int = Field(description="Samples with any of these readings.")
