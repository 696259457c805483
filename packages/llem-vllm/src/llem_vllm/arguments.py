"""What vLLM is given: arguments of its engine and of each request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llem_core.contracts import Prompt, Purpose, Workload
from llem_core.models.checkpoint import checkpoint_fields, place

from llem_vllm.audit import ENGINE_MAPPED, split_passthrough
from llem_vllm.config import VllmConfig

DTYPES = {"auto": "auto", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM's kernels are made for."""
_OWN = frozenset({"model", "dtype", "seed", "enable_lora", "max_lora_rank"})


def engine_arguments(workload: Workload, folder: Path | None) -> dict[str, Any]:
    """Arguments of vLLM's engine; those that are left to vLLM are left out.

    Args:
        workload: the experiment.
        folder: of a shape's configuration; ``None`` for a model that has files of its own.
    """
    section = workload.section
    assert isinstance(section, VllmConfig)
    arguments: dict[str, Any] = {
        "model": str(folder) if folder else place(workload.model),
        "dtype": DTYPES[workload.precision],
        "seed": workload.random_seed,
        "runner": "generate",
        "skip_tokenizer_init": True,
        "generation_config": "vllm",
        "disable_log_stats": False,
        "use_tqdm_on_load": False,
        "worker_extension_cls": "llem_vllm.engine.worker.WorkerFacts",
    }
    for name in ENGINE_MAPPED.keys() - _OWN:
        value = getattr(section, name)
        if value is not None:
            arguments[name] = list(value) if isinstance(value, tuple) else value
    if folder is not None:
        arguments["load_format"] = "dummy"
    if workload.lora is not None:
        arguments |= {"enable_lora": True, "max_lora_rank": lora_rank(workload.lora.adapter)}
    return arguments | split_passthrough(dict(workload.passthrough_kwargs))[1]


def lora_rank(adapter: str) -> int:
    """The least rank of vLLM's kernels that an adapter fits into."""
    fields = _adapter_fields(adapter)
    rank = int(fields.get("r") or LORA_RANKS[2])
    return next((known for known in LORA_RANKS if known >= rank), rank)


def _adapter_fields(adapter: str) -> dict[str, Any]:
    import json

    try:
        text = (Path(adapter).expanduser() / "adapter_config.json").read_text(encoding="utf-8")
    except OSError:
        return {}
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def position_limit(workload: Workload, fields: dict[str, Any] | None = None) -> int | None:
    """Most positions of a request as far as that is known before loading."""
    section = workload.section
    assert isinstance(section, VllmConfig)
    if section.max_model_len is not None:
        return section.max_model_len
    fields = fields or checkpoint_fields(workload.model, section.revision) or {}
    stated = fields.get("max_position_embeddings") or fields.get("n_positions")
    return stated if isinstance(stated, int) else None


def sampling_arguments(
    workload: Workload, prompt: Prompt, eos_ids: Sequence[int], purpose: Purpose
) -> dict[str, Any]:
    """Arguments of one request's ``SamplingParams``.

    Args:
        workload: the experiment.
        prompt: the request.
        eos_ids: tokens that end an output.
        purpose: what it is run for; a warm-up and a phase pass run prompts again and again, which
            must not find their own beginnings in the cache.
    """
    decoder = workload.decoder
    goes_on = prompt.exact_output or decoder.ignore_eos
    arguments: dict[str, Any] = {
        "max_tokens": prompt.max_new_tokens,
        "temperature": 0.0,
        "detokenize": False,
        "ignore_eos": goes_on,
    }
    if not goes_on:
        arguments["stop_token_ids"] = list(eos_ids)
    if decoder.do_sample:
        arguments["temperature"] = 1.0 if decoder.temperature is None else decoder.temperature
        arguments["seed"] = workload.random_seed + prompt.index
        chosen = {"top_k": decoder.top_k, "top_p": decoder.top_p, "min_p": decoder.min_p}
        arguments |= {name: value for name, value in chosen.items() if value is not None}
    if decoder.repetition_penalty is not None:
        arguments["repetition_penalty"] = decoder.repetition_penalty
    if decoder.min_new_tokens is not None:
        arguments["min_tokens"] = min(decoder.min_new_tokens, prompt.max_new_tokens)
    if purpose != "measured":
        arguments["skip_reading_prefix_cache"] = True
    return arguments | split_passthrough(dict(workload.passthrough_kwargs))[0]
