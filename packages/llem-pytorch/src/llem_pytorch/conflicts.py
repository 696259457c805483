"""Options of the ``pytorch`` section that exclude each other, or that would have no effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from llem_pytorch.fields import PyTorchFields


class Rule(NamedTuple):
    """A mistake in the section.

    Attributes:
        options: fields of which one has to be written for the rule to be broken: a sweep
            validates thousands of sections, most of which write few fields.
        broken: whether it is.
        message: what is wrong.
    """

    options: tuple[str, ...]
    broken: Callable[[PyTorchFields], bool]
    message: str


_SPECULATION = ("assistant_model", "prompt_lookup_num_tokens")
_BNB_4BIT = ("bnb_4bit_quant_type", "bnb_4bit_compute_dtype", "bnb_4bit_use_double_quant")
_BEAM_SEARCH = ("length_penalty", "early_stopping")
_ASSISTANT = (
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "assistant_confidence_threshold",
)
_COMPILING = ("compile_fullgraph", "compile_dynamic")
_PLACING = ("max_memory", "offload_folder")

_QUANTISATION = (
    Rule(
        ("load_in_4bit",),
        lambda c: c.load_in_4bit and c.load_in_8bit,
        "load_in_4bit and load_in_8bit exclude each other; set one of them",
    ),
    Rule(
        _BNB_4BIT,
        lambda c: not c.load_in_4bit and _any(c, _BNB_4BIT),
        "bnb_4bit_* options have no effect without load_in_4bit: true",
    ),
    Rule(
        ("load_format",),
        lambda c: (
            c.load_format == "dummy"
            and (c.quantised or c.device_map is not None or c.gguf_file is not None)
        ),
        "load_format: dummy makes weights in place; it takes no quantisation, device_map or "
        "gguf_file",
    ),
)

_BATCHES = (
    Rule(
        ("batching",),
        lambda c: c.batching == "dynamic" and c.max_batch_tokens is None,
        "batching: dynamic needs max_batch_tokens",
    ),
    Rule(
        ("max_batch_tokens",),
        lambda c: c.batching == "static" and c.max_batch_tokens is not None,
        "max_batch_tokens has no effect without batching: dynamic",
    ),
)

_DECODING = (
    Rule(
        _BEAM_SEARCH,
        lambda c: not _beams(c) and _any(c, _BEAM_SEARCH),
        "length_penalty and early_stopping have no effect without num_beams of 2 or more",
    ),
    Rule(
        ("assistant_model",),
        lambda c: c.assistant_model is not None and c.prompt_lookup_num_tokens is not None,
        "assistant_model and prompt_lookup_num_tokens exclude each other; set one of them",
    ),
    Rule(
        _SPECULATION,
        lambda c: c.speculative and c.batch_size > 1,
        "assistant_model and prompt_lookup_num_tokens need batch_size: 1",
    ),
    Rule(
        _SPECULATION,
        lambda c: c.speculative and _beams(c),
        "assistant_model and prompt_lookup_num_tokens exclude num_beams",
    ),
    Rule(
        _SPECULATION,
        lambda c: c.speculative and (c.use_cache is False or c.cache_implementation is not None),
        "assistant_model and prompt_lookup_num_tokens need the default cache; remove use_cache "
        "and cache_implementation",
    ),
    Rule(
        _ASSISTANT,
        lambda c: c.assistant_model is None and _any(c, _ASSISTANT),
        "num_assistant_* and assistant_confidence_threshold have no effect without assistant_model",
    ),
    Rule(
        ("max_matching_ngram_size",),
        lambda c: c.prompt_lookup_num_tokens is None and c.max_matching_ngram_size is not None,
        "max_matching_ngram_size has no effect without prompt_lookup_num_tokens",
    ),
    Rule(
        ("cache_implementation",),
        lambda c: c.use_cache is False and c.cache_implementation is not None,
        "cache_implementation has no effect with use_cache: false",
    ),
)

_PLACES = (
    Rule(
        ("torch_compile",),
        lambda c: (
            c.torch_compile in {"reduce-overhead", "max-autotune"}
            and c.use_cache is not False
            and not (c.cache_implementation or "").endswith("static")
        ),
        "torch_compile: reduce-overhead and max-autotune replay CUDA graphs, which need a cache "
        "that does not grow; add cache_implementation: static, or take max-autotune-no-cudagraphs",
    ),
    Rule(
        _COMPILING,
        lambda c: not c.torch_compile and _any(c, _COMPILING),
        "compile_fullgraph and compile_dynamic have no effect without torch_compile",
    ),
    Rule(
        _PLACING,
        lambda c: c.device_map is None and _any(c, _PLACING),
        "max_memory and offload_folder have no effect without device_map",
    ),
    Rule(
        ("device",),
        lambda c: c.device is not None and c.device_map is not None,
        "device and device_map exclude each other; set one of them",
    ),
)

_RULES = (*_QUANTISATION, *_BATCHES, *_DECODING, *_PLACES)
_OPTIONS = frozenset(option for rule in _RULES for option in rule.options)


def conflicts(config: PyTorchFields) -> Iterator[str]:
    """A sentence for each rule that the section breaks."""
    written = config.model_fields_set & _OPTIONS
    if written:
        for rule in _RULES:
            if not written.isdisjoint(rule.options) and rule.broken(config):
                yield rule.message


def _beams(config: PyTorchFields) -> bool:
    return config.num_beams is not None and config.num_beams > 1


def _any(config: PyTorchFields, options: tuple[str, ...]) -> bool:
    return any(getattr(config, option) is not None for option in options)
