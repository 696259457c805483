"""What goes into a backend: the workload, its prompts, and the batches made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llem_core.contracts.decoder import DecoderConfig
from llem_core.contracts.lora import LoRAConfig
from llem_core.contracts.section import BackendSection

Precision = Literal["auto", "fp32", "fp16", "bf16"]


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
