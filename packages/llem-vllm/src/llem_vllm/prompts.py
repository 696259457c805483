"""Makes tokens and sampling settings of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llem_core.contracts import Prompt, Purpose, Workload
from llem_core.errors import BackendError
from llem_core.models.tokenizer import Tokenizer
from vllm import SamplingParams

from llem_vllm.arguments import sampling_arguments


@dataclass(frozen=True, slots=True)
class Ready:
    """One request as vLLM takes it.

    Attributes:
        index: ``Prompt.index``.
        ids: tokens of the prompt.
        truncated: whether it was cut.
        params: how its output is chosen.
    """

    index: int
    ids: list[int]
    truncated: bool
    params: SamplingParams


def ready(
    workload: Workload,
    prompts: Sequence[Prompt],
    tokenizer: Tokenizer,
    limit: int,
    purpose: Purpose,
    output_kind: Any,
) -> list[Ready]:
    """Each prompt as vLLM takes it.

    Args:
        workload: the experiment.
        prompts: the requests.
        tokenizer: of the model.
        limit: most positions of a request.
        purpose: what they will be run for.
        output_kind: whether outputs are handed over whole or as they come.
    """
    found = []
    for prompt in prompts:
        if prompt.synthetic_tokens is not None:
            seed = f"{workload.random_seed}-{prompt.index}"
            ids, cut = tokenizer.synthetic(prompt.synthetic_tokens, seed), False
        else:
            ids, cut = tokenizer.encode(prompt.text or "", workload.max_input_tokens)
        if not ids:
            raise BackendError(f"prompt {prompt.index} has no tokens")
        if len(ids) + prompt.max_new_tokens > limit:
            raise BackendError(
                f"prompt {prompt.index} and its output need {len(ids) + prompt.max_new_tokens} "
                f"positions and the engine takes {limit}; raise vllm.max_model_len as far as the "
                "model allows, or lower max_input_tokens or max_output_tokens"
            )
        given = sampling_arguments(workload, prompt, tokenizer.eos_ids, purpose)
        params = SamplingParams(**given, output_kind=output_kind)
        found.append(Ready(prompt.index, ids, cut, params))
    return found
