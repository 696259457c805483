"""The generation configuration of a workload: every setting that is not given is switched off.

A checkpoint's own ``generation_config.json`` may ask for sampling and penalties; only its
special tokens are kept, so that a run does what its experiment says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llem_core.contracts import Workload
from transformers import CompileConfig, GenerationConfig

from llem_pytorch.audit import split_passthrough
from llem_pytorch.config import PyTorchConfig

_SECTION_FIELDS = (
    *("use_cache", "cache_implementation", "length_penalty", "early_stopping"),
    *("no_repeat_ngram_size", "prompt_lookup_num_tokens", "max_matching_ngram_size"),
)
_DECODER_FIELDS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


def generation_config(
    workload: Workload, eos_ids: Sequence[int], pad_id: int, max_new_tokens: int, exact: bool
) -> GenerationConfig:
    """Settings of one batch.

    Args:
        workload: the workload.
        eos_ids: tokens that end an output.
        pad_id: token that fills finished rows.
        max_new_tokens: output tokens at the most.
        exact: go on to exactly that many.
    """
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    decoder = workload.decoder
    endless = exact or decoder.ignore_eos
    settings: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "do_sample": decoder.do_sample,
        "num_beams": section.num_beams or 1,
        "pad_token_id": pad_id,
        "eos_token_id": None if endless or not eos_ids else list(eos_ids),
    }
    if decoder.do_sample:
        # transformers' own default is the 50 likeliest tokens; none is what no setting means.
        settings["top_k"] = 0
    for name in _DECODER_FIELDS:
        if getattr(decoder, name) is not None:
            settings[name] = getattr(decoder, name)
    if decoder.min_new_tokens is not None and not endless:
        settings["min_new_tokens"] = min(decoder.min_new_tokens, max_new_tokens)
    for name in _SECTION_FIELDS:
        if getattr(section, name) is not None:
            settings[name] = getattr(section, name)
    settings.update(_compile_settings(section))
    settings.update(split_passthrough(dict(workload.passthrough_kwargs))[0])
    return GenerationConfig(**settings)


def _compile_settings(section: PyTorchConfig) -> dict[str, Any]:
    if section.torch_compile is None:
        return {}
    if section.torch_compile is False:
        return {"disable_compile": True}
    return {"compile_config": CompileConfig(**compile_arguments(section))}


def compile_arguments(section: PyTorchConfig) -> dict[str, Any]:
    """Arguments of ``torch.compile`` for ``torch_compile`` and its options."""
    mode = section.torch_compile if isinstance(section.torch_compile, str) else "default"
    return {
        "mode": mode,
        "fullgraph": bool(section.compile_fullgraph),
        "dynamic": section.compile_dynamic,
    }
