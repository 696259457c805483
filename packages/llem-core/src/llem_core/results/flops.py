"""Compute of a result."""

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
