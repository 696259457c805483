"""Options of the ``pytorch`` section that exclude each other, or that would have no effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llem_pytorch.config import PyTorchConfig

Rule = tuple[Callable[["PyTorchConfig"], bool], str]

_QUANTISATION: tuple[Rule, ...] = (
    (
        lambda c: c.load_in_4bit and c.load_in_8bit,
        "load_in_4bit and load_in_8bit exclude each other; set one of them",
    ),
    (
        lambda c: not c.load_in_4bit and _any(c, "bnb_4bit_"),
        "bnb_4bit_* options have no effect without load_in_4bit: true",
    ),
    (
        lambda c: (
            c.load_format == "dummy"
            and (c.quantised or c.device_map is not None or c.gguf_file is not None)
        ),
        "load_format: dummy makes weights in place; it takes no quantisation, device_map or "
        "gguf_file",
    ),
)

_BATCHES: tuple[Rule, ...] = (
    (
        lambda c: c.batching == "dynamic" and c.max_batch_tokens is None,
        "batching: dynamic needs max_batch_tokens",
    ),
    (
        lambda c: c.batching == "static" and c.max_batch_tokens is not None,
        "max_batch_tokens has no effect without batching: dynamic",
    ),
)

_DECODING: tuple[Rule, ...] = (
    (
        lambda c: not _beams(c) and (c.length_penalty, c.early_stopping) != (None, None),
        "length_penalty and early_stopping have no effect without num_beams of 2 or more",
    ),
    (
        lambda c: c.assistant_model is not None and c.prompt_lookup_num_tokens is not None,
        "assistant_model and prompt_lookup_num_tokens exclude each other; set one of them",
    ),
    (
        lambda c: c.speculative and c.batch_size > 1,
        "assistant_model and prompt_lookup_num_tokens need batch_size: 1",
    ),
    (
        lambda c: c.speculative and _beams(c),
        "assistant_model and prompt_lookup_num_tokens exclude num_beams",
    ),
    (
        lambda c: c.speculative and (c.use_cache is False or c.cache_implementation is not None),
        "assistant_model and prompt_lookup_num_tokens need the default cache; remove use_cache "
        "and cache_implementation",
    ),
    (
        lambda c: c.assistant_model is None and _any(c, "num_assistant", "assistant_conf"),
        "num_assistant_* and assistant_confidence_threshold have no effect without assistant_model",
    ),
    (
        lambda c: c.prompt_lookup_num_tokens is None and c.max_matching_ngram_size is not None,
        "max_matching_ngram_size has no effect without prompt_lookup_num_tokens",
    ),
    (
        lambda c: c.use_cache is False and c.cache_implementation is not None,
        "cache_implementation has no effect with use_cache: false",
    ),
)

_PLACES: tuple[Rule, ...] = (
    (
        lambda c: not c.torch_compile and _any(c, "compile_"),
        "compile_fullgraph and compile_dynamic have no effect without torch_compile",
    ),
    (
        lambda c: c.device_map is None and _any(c, "max_memory", "offload_folder"),
        "max_memory and offload_folder have no effect without device_map",
    ),
    (
        lambda c: c.device is not None and c.device_map is not None,
        "device and device_map exclude each other; set one of them",
    ),
)


def conflicts(config: PyTorchConfig) -> Iterator[str]:
    """A sentence for each rule that the section breaks."""
    for rules in (_QUANTISATION, _BATCHES, _DECODING, _PLACES):
        yield from (message for broken, message in rules if broken(config))


def _beams(config: PyTorchConfig) -> bool:
    return config.num_beams is not None and config.num_beams > 1


def _any(config: PyTorchConfig, *prefixes: str) -> bool:
    return any(getattr(config, name) is not None for name in _names(type(config), prefixes))


@cache
def _names(section: type[PyTorchConfig], prefixes: tuple[str, ...]) -> list[str]:
    # A sweep validates thousands of sections.
    return [name for name in section.model_fields if name.startswith(prefixes)]
