"""Statistics of a latency over pooled samples."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LatencyStatistics(BaseModel):
    """Statistics of one latency, in seconds, over all samples of all processes."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    n: int = Field(ge=1, description="Number of samples.")
    mean_s: float = Field(description="Arithmetic mean (s).")
    p50_s: float = Field(description="Median (s).")
    p90_s: float = Field(description="90th percentile (s).")
    p95_s: float = Field(description="95th percentile (s).")
    p99_s: float = Field(description="99th percentile (s).")
    min_s: float = Field(description="Smallest sample (s).")
    max_s: float = Field(description="Largest sample (s).")
