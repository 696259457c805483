"""Raw results: what one process measured, its warm-up included, before anything is aggregated."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

WarmupEnd = Literal["converged", "n_warmup", "max_prompts", "max_seconds"]


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
        description="Time of each warm-up batch over its longest output (s per token), in order."
    )
    ended_by: WarmupEnd = Field(
        description="Why it ended: `converged`, or the limit that was reached."
    )
    prompts: str = Field(description="How its prompts were made; none of them is measured.")
    input_tokens: int | None = Field(
        description="Prompt tokens of the batch that is repeated; null where it is not known."
    )
    measured_input_tokens: int | None = Field(
        description="Prompt tokens of the measured batch that it is like; null likewise."
    )


_STRICT = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class RequestRecord(BaseModel):
    """One request that is over. Moments are of the monotonic clock, common to all processes."""

    model_config = _STRICT

    index: int = Field(description="Position of the prompt in the data set, from 0.")
    batch: int = Field(description="Which batch of its process it ran in, from 0.")
    input_tokens: int = Field(description="Tokens of the prompt, padding not counted.")
    output_tokens: int = Field(description="Tokens generated, the end-of-sequence token included.")
    started_s: float = Field(description="When the engine began it (monotonic s).")
    ended_s: float = Field(description="When its last token was there, or it failed (monotonic s).")
    queued_s: float | None = Field(
        description="How long it waited in the engine before started_s (s); null where unknown."
    )
    first_token_s: float | None = Field(
        description="When its first token was there (monotonic s); null where unknown."
    )
    token_times_s: list[float] | None = Field(
        description="When each output token was there (monotonic s); null where unknown."
    )
    token_ids: list[int] = Field(description="The generated tokens.")
    text: str | None = Field(description="The generated text, where the backend decodes it.")
    error: str | None = Field(description="Why it failed; null if it did not.")
    error_kind: str | None = Field(
        None, description="What kind of failure it was, such as `timeout`; null if it did not fail."
    )
    prompt: int | None = Field(
        None,
        description="Position of its prompt in the data set, under a load: `index` is then the "
        "request's place in the order of sending.",
    )
    sent_s: float | None = Field(
        None,
        description="When it was sent, under a load (monotonic s); started_s is when it was due.",
    )
    in_window: bool | None = Field(
        None, description="Whether it was due in the measured window; null without a load."
    )
    energy_attributed_j: float | None = Field(
        None, description="Its share of the window's energy by tokens (J): an attribution."
    )

    @property
    def end_to_end_s(self) -> float:
        """From the engine's start of the request to its last token (s)."""
        return self.ended_s - self.started_s

    @property
    def time_to_first_token_s(self) -> float | None:
        """From the engine's start of the request to its first token (s)."""
        return None if self.first_token_s is None else self.first_token_s - self.started_s

    @property
    def time_per_output_token_s(self) -> float | None:
        """(last token − first token) / (output tokens − 1), in seconds.

        ``None`` with less than two tokens, or without the first one's time.
        """
        if self.first_token_s is None or self.output_tokens < 2:
            return None
        last_s = self.token_times_s[-1] if self.token_times_s else self.ended_s
        return (last_s - self.first_token_s) / (self.output_tokens - 1)


class ProcessResult(BaseModel):
    """What one data-parallel process did in the measured window."""

    model_config = _STRICT

    rank: int = Field(description="Which of the processes, from 0.")
    pid: int = Field(description="Its process id.")
    started_s: float = Field(description="When its first batch started (monotonic s).")
    ended_s: float = Field(description="When its last batch was finished (monotonic s).")
    n_batches: int = Field(description="Batches.")
    padded_tokens: int = Field(description="Positions computed in prefill, padding included.")
    truncated: int = Field(description="Prompts that were cut to max_input_tokens.")
    requests: list[RequestRecord] = Field(description="Its requests, in the order they ran.")
    times_missing_reason: str | None = Field(description="Why requests have no token times.")
    weights_bytes: int | None = Field(description="Memory of the weights (bytes).")
    peak_memory_bytes: int | None = Field(description="Peak memory in the window (bytes).")
    memory_source: str = Field(description="What peak_memory_bytes was read from.")
    memory_reason: str | None = Field(description="Why peak_memory_bytes is null.")
    warmup: WarmupResult | None = Field(description="Its warm-up; null where it was off.")
    facts: dict[str, Any] = Field(description="What the backend told after the run.")
    notes: list[str] = Field(description="Its remarks after the run, for the warnings.")


class ProcessSummary(BaseModel):
    """One process in the final result; its raw requests are in ``requests.parquet``."""

    model_config = _STRICT

    rank: int = Field(description="Which of the processes, from 0.")
    pid: int = Field(description="Its process id.")
    duration_s: float = Field(description="From its first batch's start to its last one's end (s).")
    n_requests: int = Field(description="Requests that it finished.")
    n_batches: int = Field(description="Batches that it ran.")
    input_tokens: int = Field(description="Prompt tokens, padding not counted.")
    output_tokens: int = Field(description="Tokens generated.")
    peak_memory_bytes: int | None = Field(description="Peak memory in the window (bytes).")
    warmup: WarmupResult | None = Field(description="Its warm-up; null where it was off.")
    facts: dict[str, Any] = Field(
        description="What the backend told after the run, by its own names."
    )
