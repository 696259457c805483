"""What was served under a load, in a window of time."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llem_core.contracts.workload import LoadMode
from llem_core.results.latency import LatencyStatistics

_STRICT = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class SeriesEvidence(BaseModel):
    """Whether one series kept its level over the window."""

    model_config = _STRICT

    first_half_mean: float = Field(description="Mean over the first half, in the series' unit.")
    second_half_mean: float = Field(description="Mean over the second half.")
    difference: float | None = Field(
        description="(second − first) / mean of both (dimensionless); null where that is 0."
    )
    trend_p: float | None = Field(
        description="Two-sided p of the Mann-Kendall test for a trend; null with too few points."
    )
    steady: bool = Field(description="Whether it counts as steady.")


class SteadyEvidence(BaseModel):
    """What was looked at to call a window steady or not."""

    model_config = _STRICT

    steady: bool = Field(description="Whether both series are steady.")
    n_points: int = Field(description="Equal parts of the window that were looked at.")
    point_s: float = Field(description="Length of one of them (s).")
    requests_in_flight: SeriesEvidence = Field(description="Requests in flight.")
    output_tokens_per_second: SeriesEvidence = Field(description="Output tokens/s.")


class WindowResult(BaseModel):
    """One of several consecutive windows at one level of load."""

    model_config = _STRICT

    duration_s: float = Field(description="Its length (s).")
    output_tokens: int = Field(description="Output tokens that arrived in it.")
    output_tokens_per_second: float = Field(description="The same over its length (1/s).")
    energy_j: float | None = Field(description="Gross energy (J).")
    energy_per_output_token_j: float | None = Field(description="Gross energy per output token.")
    reason: str | None = Field(description="Why the energy is null.")
    throttle_reasons: list[str] = Field(description="Throttling that was seen in it.")


class TokenCheck(BaseModel):
    """The engine's own count of generated tokens beside the client's, over the whole load."""

    model_config = _STRICT

    engine_output_tokens: int = Field(description="Difference of the engine's counter.")
    client_output_tokens: int = Field(
        description="Output tokens of all requests, ramp and drain included."
    )
    difference: float | None = Field(
        description="(engine − client) / client (dimensionless); null where the client has none."
    )


class LoadResult(BaseModel):
    """A window cut out of a load.

    Tokens count by the moment at which they arrived, requests by their end, latencies by the
    moment at which the request was due. Requests that were under way at an edge have only a part
    of their tokens in the window, as the energy is that of the interval and no more.
    """

    model_config = _STRICT

    mode: LoadMode = Field(description="Closed, open or trace.")
    concurrency_limit: int | None = Field(description="Most requests in flight; null: no limit.")
    offered_requests_per_second: float | None = Field(
        description="Requests that were due in the window, over its length (1/s); null for a "
        "closed load, which offers what is served."
    )
    achieved_requests_per_second: float = Field(
        description="Requests that were finished in the window, over its length (1/s)."
    )
    mean_concurrency: float = Field(description="Mean of the requests in flight.")
    peak_concurrency: int = Field(description="Most requests in flight.")
    n_started: int = Field(
        description="Requests that were due in the window: latencies are theirs."
    )
    n_sent: int = Field(description="Requests sent in all, before, in and after the window.")
    prompts_repeated: int = Field(description="Requests sent with a prompt that was sent before.")

    backlog_start: int = Field(description="Requests due and not over when the window opened.")
    backlog_end: int = Field(description="Requests due and not over when it closed.")
    overloaded: bool = Field(
        description="Whether the backlog grew through the window: more was offered than served."
    )

    n_good: int | None = Field(
        description="Of the requests finished in the window, those that kept the SLO; null without."
    )
    goodput_requests_per_second: float | None = Field(
        description="The same over its length (1/s); null without an SLO."
    )
    slo_attainment: float | None = Field(
        description="Share of n_started that kept the SLO, failed ones included as not; null "
        "without an SLO."
    )
    energy_per_good_request_j: float | None = Field(
        description="Gross energy over n_good (J); null without an SLO, energy or good requests."
    )

    failures: dict[str, int] = Field(
        description="Failed requests that were due in the window, by kind."
    )
    client_lateness: LatencyStatistics | None = Field(
        description="How long after it could have been sent a request was: the client's own share."
    )
    client_cpu_s: float | None = Field(
        description="CPU time of this process in the window (s); null where the engine runs in it."
    )
    client_cpu_per_1000_tokens_s: float | None = Field(
        description="The same over a thousand output tokens (s); null likewise."
    )
    tokens_without_times: int = Field(
        description="Tokens in the window whose chunk did not tell how many it held: spread evenly "
        "over their request's chunks."
    )
    tokens_per_chunk: float | None = Field(
        description="Output tokens of a chunk in the mean; tokens that came together share a time."
    )

    ramp_s: float = Field(description="Load before the window opened (s).")
    ramp_ended_by: Literal["steady", "ramp_seconds", "limit", "trace"] = Field(
        description="Why the ramp ended; `limit`: the load did not become steady in time; `trace`: "
        "there was none, the window opened with the trace."
    )
    evidence: SteadyEvidence | None = Field(
        description="Whether the window was steady; null where it is too short to tell."
    )
    windows: list[WindowResult] = Field(description="The consecutive windows; one or more.")
    energy_per_output_token_cv: float | None = Field(
        description="Coefficient of variation of J per output token between the windows; null for "
        "one window, or without energy."
    )
    token_check: TokenCheck | None = Field(
        description="The engine's own count of tokens; null where it tells none."
    )
    energy_attribution: str | None = Field(
        description="How energy was divided among requests in requests.parquet: an attribution, no "
        "measurement; null without energy."
    )
