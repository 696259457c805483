"""The generation configuration of a workload: every setting that is not given is switched off.

A checkpoint's own ``generation_config.json`` may ask for sampling and penalties; only its
special tokens are kept, so that a run does what its experiment says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llem_core.contracts import Workload
from transformers import CompileConfig, GenerationConfig

from llem_pytorch.audit import split_passthrough
from llem_pytorch.config import PyTorchConfig
from llem_pytorch.generation.compiling import compile_arguments, has_static_cache

_SECTION_FIELDS = (
    *("use_cache", "cache_implementation", "length_penalty", "early_stopping"),
    *("no_repeat_ngram_size", "prompt_lookup_num_tokens", "max_matching_ngram_size"),
)
_DECODER_FIELDS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
_BEAMS_AND_PENALTIES = (
    *("num_beams", "length_penalty", "early_stopping", "no_repeat_ngram_size"),
    *("repetition_penalty", "encoder_repetition_penalty", "min_new_tokens", "min_length"),
    *("bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "sequence_bias"),
    *("forced_bos_token_id", "forced_eos_token_id", "guidance_scale", "penalty_alpha"),
    "exponential_decay_length_penalty",
)
_NEUTRAL = {
    "num_beams": 1,
    "length_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "guidance_scale": 1.0,
}


def generation_config(
    workload: Workload,
    eos_ids: Sequence[int],
    pad_id: int,
    max_new_tokens: int,
    exact: bool,
    longest_sequence: int | None = None,
) -> GenerationConfig:
    """Settings of one batch.

    Args:
        workload: the workload.
        eos_ids: tokens that end an output.
        pad_id: token that fills finished rows.
        max_new_tokens: output tokens at the most.
        exact: go on to exactly that many.
        longest_sequence: positions that a static cache has for every batch. One that grew from
            batch to batch would be compiled for anew each time.
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
    if has_static_cache(section) and longest_sequence:
        settings["max_cache_len"] = longest_sequence
    settings.update(split_passthrough(dict(workload.passthrough_kwargs))[0])
    return GenerationConfig(**settings)


def unused_settings(stated: Any, workload: Workload) -> Iterator[str]:
    """A remark on beams and penalties that a checkpoint asks for and that are not used.

    Args:
        stated: the checkpoint's own generation settings.
        workload: a setting that it has too is not remarked.
    """
    given = {**workload.decoder.model_dump(), **workload.section.model_dump()}
    given.update(workload.passthrough_kwargs)
    plain = GenerationConfig()
    asked = {
        name: value
        for name in _BEAMS_AND_PENALTIES
        if (value := getattr(stated, name, None)) not in (None, _NEUTRAL.get(name), [], False)
        and value != getattr(plain, name, None)
        and given.get(name) is None
    }
    if asked:
        told = ", ".join(f"{name}: {value}" for name, value in asked.items())
        yield (
            f"The checkpoint's generation settings ask for {told}, which an experiment does not "
            "take over; set the fields of that name to measure it so."
        )


def _compile_settings(section: PyTorchConfig) -> dict[str, Any]:
    if section.torch_compile is None:
        return {}
    if section.torch_compile is False:
        return {"disable_compile": True}
    return {"compile_config": CompileConfig(**compile_arguments(section))}
