"""Running in before anything is measured: ``warmup`` in an experiment file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from llem_core.contracts.config import StrictModel

Count = Annotated[int, Field(strict=True, ge=1, le=10_000_000)]


class WarmupConfig(StrictModel):
    """Running in before anything is measured.

    The unit is one batch of the measured shape, which is one prompt at batch size 1. One
    batch is repeated, the largest unless the backend says otherwise, so that its latencies are
    comparable. Its prompts are as long as measured ones, and none of them is one.
    """

    enabled: bool = Field(True, description="Warm up at all.")
    n_warmup: Count = Field(
        5, description="Warm-up batches; the fewest, with convergence_detection."
    )
    convergence_detection: bool = Field(
        True,
        description="Go on until the latency per token has converged, or max_prompts or "
        "max_seconds is reached.",
    )
    cv_threshold: float = Field(
        0.05,
        gt=0,
        description="Converged when the coefficient of variation of the last window_size latencies "
        "is at or below this (dimensionless).",
    )
    window_size: Annotated[int, Field(strict=True, ge=2)] = Field(
        5, description="Batches that the coefficient of variation is taken over."
    )
    max_prompts: Count = Field(20, description="Warm-up batches at the most.")
    max_seconds: float = Field(
        120.0, gt=0, description="No warm-up batch begins after this time (s); one is always run."
    )
    thermal_floor_seconds: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="Wait between warm-up and measurement (s); it lets the device cool again.",
    )
