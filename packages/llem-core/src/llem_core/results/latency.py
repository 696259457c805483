"""Statistics of a latency over pooled samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

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


def latency_statistics(samples_s: Iterable[float]) -> LatencyStatistics | None:
    """Statistics of latency samples in seconds; ``None`` where there are none."""
    ordered = sorted(samples_s)
    if not ordered:
        return None
    return LatencyStatistics(
        n=len(ordered),
        mean_s=math.fsum(ordered) / len(ordered),
        p50_s=percentile(ordered, 50),
        p90_s=percentile(ordered, 90),
        p95_s=percentile(ordered, 95),
        p99_s=percentile(ordered, 99),
        min_s=ordered[0],
        max_s=ordered[-1],
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Percentile of ascending values by linear interpolation.

    The value at rank ``(n − 1)·percent/100``: method 7 of Hyndman and Fan, "Sample Quantiles
    in Statistical Packages" (1996), which is numpy's default.
    """
    rank = (len(ordered) - 1) * percent / 100
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)
