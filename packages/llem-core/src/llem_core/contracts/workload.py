"""What goes into a backend, its prompts and batches, and the outputs that come out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llem_core.contracts.config import BackendSection, DecoderConfig, LoRAConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOutput:
    """One request that is over, with times of its own.

    ``started_s``, ``first_token_s``, ``token_times_s`` and ``ended_s`` are moments of
    ``time.monotonic()``, which all processes of a machine share; ``queued_s`` is a duration.
    An engine that knows the first and the last token only gives ``first_token_s`` and
    ``ended_s`` and leaves ``token_times_s`` out.

    Attributes:
        index: ``Prompt.index``.
        input_tokens: tokens of the prompt as the engine counts them, after truncation, padding
            not counted; 0 where the request failed before they were counted.
        output_tokens: tokens generated up to and including the end-of-sequence token.
        started_s: when the engine began to work on it (monotonic s).
        ended_s: when its last token was there, or it failed (monotonic s); not the end of its
            batch, which other requests may prolong.
        queued_s: how long it had waited in the engine before ``started_s`` (s); ``None`` where
            the engine has no queue, or cannot tell.
        first_token_s: when its first token was there (monotonic s); ``None`` where the engine
            cannot tell. The first of ``token_times_s`` where those are given.
        token_times_s: when each output token was there (monotonic s); as long as
            ``output_tokens``. Tokens that came together have the same time. ``None`` where the
            engine cannot tell.
        token_ids: the generated tokens, ``output_tokens`` of them, or none.
        text: the generated text, where it is at hand.
        error: why it failed; ``None`` if it did not. A failed request has no output tokens.
        error_kind: a word or two for what ``error`` tells of, such as ``timeout``, ``http 503`` or
            ``connection reset``: failures are counted by it.
    """

    index: int
    input_tokens: int
    output_tokens: int
    started_s: float
    ended_s: float
    queued_s: float | None = None
    first_token_s: float | None = None
    token_times_s: tuple[float, ...] | None = None
    token_ids: tuple[int, ...] = ()
    text: str | None = None
    error: str | None = None
    error_kind: str | None = None


@dataclass(frozen=True, slots=True)
class BatchOutput:
    """What one batch gave, in the order of ``Batch.indices``.

    Attributes:
        requests: one for each request of the batch, failed ones too.
        times_missing_reason: why requests have no ``token_times_s``, and perhaps no
            ``first_token_s``.
    """

    requests: tuple[RequestOutput, ...]
    times_missing_reason: str | None = None


Precision = Literal["auto", "fp32", "fp16", "bf16"]

LoadMode = Literal["batch", "closed", "open", "trace"]
"""How requests reach the engine: all at once, or as a load of one kind."""

Purpose = Literal["warmup", "measured", "phase"]
"""What a pass is for: running in, the measured window, or the energy of one phase."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One experiment as a backend sees it, after all defaults and overrides are resolved.

    Attributes:
        model: hub id, local path or ``shape:<name>``.
        precision: dtype of weights and activations; ``auto`` leaves it to the model.
        max_input_tokens: longer prompts are cut to this many tokens.
        max_output_tokens: output tokens of a request at the most.
        random_seed: seeds random weights, synthetic prompts and sampling.
        decoder: how tokens are chosen.
        section: the backend's own section, an instance of its ``BackendSpec.section``.
        lora: adapter to load on top of the model, if any.
        passthrough_kwargs: arguments that the core does not know, for the engine itself.
        rank: which of ``world_size`` data-parallel processes this is, from 0.
        world_size: number of data-parallel processes.
        services: what the services that the study keeps tell of themselves, by name; see
            ``StudyService``.
        load_mode: how requests will reach the engine. With any but ``batch``,
            ``BackendSpec.create`` has to give a ``ServingBackend``.
    """

    model: str
    precision: Precision
    max_input_tokens: int
    max_output_tokens: int
    random_seed: int
    decoder: DecoderConfig
    section: BackendSection
    lora: LoRAConfig | None = None
    passthrough_kwargs: Mapping[str, Any] = field(default_factory=dict)
    rank: int = 0
    world_size: int = 1
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    load_mode: LoadMode = "batch"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request before tokenising.

    Exactly one of ``text`` and ``synthetic_tokens`` is given.

    Attributes:
        index: position in the dataset, from 0; names the request everywhere.
        text: the prompt's text.
        synthetic_tokens: make up a prompt of exactly this many tokens, special tokens
            included, from the workload's seed and ``index``.
        max_new_tokens: output tokens at the most.
        exact_output: generate exactly ``max_new_tokens``, whatever the model says of its end.
    """

    index: int
    text: str | None
    max_new_tokens: int
    synthetic_tokens: int | None = None
    exact_output: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that a backend runs together, ready on its device.

    Attributes:
        indices: ``Prompt.index`` of each request.
        input_tokens: tokens of each prompt, padding not counted, after truncation.
        payload: whatever the backend needs to run it; nobody else looks inside.
        padded_tokens: positions computed in prefill, padding included; the sum of
            ``input_tokens`` where nothing is padded.
        truncated: how many of the prompts were cut to ``max_input_tokens``.
    """

    indices: tuple[int, ...]
    input_tokens: tuple[int, ...]
    payload: Any
    padded_tokens: int
    truncated: int = 0
