"""What is known of the model besides the engine: a shape's folder, the tokenizer, its compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from llem_core.contracts import ComputeShape, Workload
from llem_core.errors import BackendError
from llem_core.models.checkpoint import has_tokenizer, place
from llem_core.models.compute import read_compute
from llem_core.models.shapes import get_shape
from llem_core.models.tokenizer import BYTE_VOCABULARY, ByteTokenizer, HubTokenizer, Tokenizer

from llem_vllm.config import VllmConfig

_SPECIAL = {"bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258}


def write_shape(name: str, folder: Path) -> None:
    """Write the ``config.json`` of ``shape:<name>`` into a folder, for vLLM to read."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    shape = get_shape(name)
    config = AutoConfig.for_model(shape.model_type, **shape.fields, **_SPECIAL)
    fields = config.to_dict()
    fields["architectures"] = [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[shape.model_type]]
    fields["dtype"] = shape.dtype
    (folder / "config.json").write_text(json.dumps(fields, default=str), encoding="utf-8")


def load_tokenizer(workload: Workload, config: Any) -> tuple[Tokenizer, str | None]:
    """The tokenizer, and a remark where it is not the model's own.

    Args:
        workload: the experiment.
        config: the model's configuration as vLLM read it.
    """
    section = workload.section
    assert isinstance(section, VllmConfig)
    vocabulary = config.get_text_config().vocab_size
    if not has_tokenizer(workload.model):
        if vocabulary < BYTE_VOCABULARY:
            raise BackendError(
                f"{workload.model} has no tokenizer, and its vocabulary of {vocabulary} is too "
                f"small for bytes ({BYTE_VOCABULARY}); save the tokenizer into the same folder"
            )
        return ByteTokenizer(vocabulary, _stated_eos_ids(workload, config)), (
            "The checkpoint has no tokenizer: prompts were read byte by byte."
        )
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        place(workload.model),
        revision=section.tokenizer_revision or section.revision,
        trust_remote_code=section.trust_remote_code,
    )
    if section.apply_chat_template and tokenizer.chat_template is None:
        raise BackendError("apply_chat_template is set, but the tokenizer has no chat template")
    own = tokenizer.eos_token_id
    stated = _stated_eos_ids(workload, config)
    eos_ids = tuple(dict.fromkeys((*stated, *(() if own is None else (int(own),)))))
    found = HubTokenizer(tokenizer, eos_ids, section.apply_chat_template)
    return found, found.remark


def _stated_eos_ids(workload: Workload, config: Any) -> tuple[int, ...]:
    """Of the checkpoint's generation settings, or else of its configuration."""
    from transformers import GenerationConfig

    section = workload.section
    assert isinstance(section, VllmConfig)
    try:
        settings = GenerationConfig.from_pretrained(
            place(workload.model), revision=section.revision
        )
        stated = settings.eos_token_id
    except OSError:  # the checkpoint has none
        stated = config.get_text_config().eos_token_id
    if stated is None:
        return ()
    return tuple(stated) if isinstance(stated, list) else (int(stated),)


class ModelFacts(NamedTuple):
    """What follows from a model's configuration alone.

    Attributes:
        parameters: all parameters.
        non_embedding: those without embeddings and output projection.
        active: those that one token passes through.
        compute: what one position computes.
    """

    parameters: int | None = None
    non_embedding: int | None = None
    active: int | None = None
    compute: ComputeShape | None = None


def model_facts(config: Any, *, speculative: bool, lora: bool) -> ModelFacts:
    """Read the facts off the model that transformers would make, without weights.

    A model that transformers does not know gives none.

    Args:
        config: the model's configuration as vLLM read it.
        speculative: whether tokens are proposed beforehand.
        lora: whether an adapter is computed beside the model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, AttributeError, ImportError):
        return ModelFacts()
    uncounted = []
    if speculative:
        uncounted.append("tokens that were proposed and not accepted, and what proposed them")
    if lora:
        uncounted.append("the adapter")
    found = read_compute(model, not_counted=uncounted, projects_every_prompt_position=False)
    return ModelFacts(
        int(model.num_parameters()), found.parameters, found.active_parameters, found.shape
    )
