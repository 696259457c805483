"""Record of the warm-up."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WarmupResult(BaseModel):
    """How the warm-up went; one a process."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    n_batches: int = Field(description="Warm-up batches that were run.")
    duration_s: float = Field(description="Time they took (s).")
    converged: bool | None = Field(
        description="Whether the latency converged; null where that was not asked for."
    )
    final_cv: float | None = Field(
        description="Coefficient of variation of the last window (dimensionless)."
    )
    latency_per_token_s: list[float] = Field(
        description="Time of each warm-up batch over its longest output (s a token), in order."
    )
