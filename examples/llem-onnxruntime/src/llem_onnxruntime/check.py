"""Looks at a workload without loading it and without importing the engine."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from llem_core.contracts import CheckReport, Workload
from llem_core.errors import BackendError

from llem_onnxruntime.config import OnnxRuntimeConfig
from llem_onnxruntime.files import ModelFiles, find_files
from llem_onnxruntime.memory import available_bytes

_BYTES = 4  # of a number in the cache: fp32, the dtype of nearly all exports for the CPU


def check(workload: Workload) -> CheckReport:
    """Problems and memory of a workload."""
    problems = list(_unsupported(workload))
    files = None
    try:
        files = find_files(workload)
    except BackendError as error:
        problems.append(str(error))
    if files is not None and files.tokenizer is not None and find_spec("tokenizers") is None:
        problems.append(
            f"{files.tokenizer} needs the package tokenizers; run "
            "`pip install llem-onnxruntime[tokenizers]`"
        )
    return CheckReport(
        problems=tuple(problems),
        memory_estimate_bytes=None if files is None else _estimate(workload, files),
        memory_available_bytes=available_bytes(),
        notes=() if files is None else tuple(_notes(workload, files)),
    )


def _unsupported(workload: Workload) -> Iterator[str]:
    if workload.decoder.do_sample:
        yield "decoder.do_sample: this backend decodes greedily; leave it false"
    if workload.decoder.repetition_penalty not in (None, 1.0):
        yield "decoder.repetition_penalty: this backend has none; remove it"
    if workload.lora is not None:
        yield "lora: merge the adapter before the export, and remove it here"
    if workload.precision != "auto":
        yield (
            f"precision: {workload.precision} cannot be chosen, an ONNX graph has its own; export "
            "one in that precision, and leave `precision: auto`"
        )
    wrong = [k for k, v in workload.passthrough_kwargs.items() if not isinstance(v, str | int)]
    if wrong:
        yield (
            f"passthrough_kwargs: {', '.join(sorted(wrong))} must be text or a whole number; they "
            "are entries of ONNX Runtime's session configuration"
        )


def _estimate(workload: Workload, files: ModelFiles) -> int | None:
    """Weights, key-value cache and logits of the prompt; ``None`` without a ``config.json``."""
    section = workload.section
    assert isinstance(section, OnnxRuntimeConfig)
    layers = files.count("num_hidden_layers", "n_layer")
    heads = files.count("num_attention_heads", "n_head")
    hidden = files.count("hidden_size", "n_embd")
    vocabulary = files.count("vocab_size")
    if layers is None or heads is None or hidden is None or vocabulary is None:
        return None
    head = files.count("head_dim") or hidden // heads
    kv_width = (files.count("num_key_value_heads") or heads) * head
    positions = workload.max_input_tokens + workload.max_output_tokens
    cache = 2 * layers * kv_width * positions * _BYTES
    # An exported graph gives the logits of every position of the prompt.
    logits = workload.max_input_tokens * vocabulary * _BYTES
    return files.weights_bytes + section.batch_size * (cache + logits)


def _notes(workload: Workload, files: ModelFiles) -> Iterator[str]:
    limit = files.count("max_position_embeddings", "n_positions")
    positions = workload.max_input_tokens + workload.max_output_tokens
    if limit is not None and positions > limit:
        yield (
            f"max_input_tokens and max_output_tokens come to {positions} positions, and the model "
            f"was made for {limit}"
        )
    if files.tokenizer is None:
        yield "there is no tokenizer.json: a token is a byte"
