"""Looks at a workload without loading it; imports neither torch nor vllm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llem_core.contracts import CheckReport, Workload
from llem_core.errors import ConfigError
from llem_core.models.architecture import needs_own_code, untrusted_code, why_not_causal
from llem_core.models.checkpoint import (
    checkpoint_fields,
    count_parameters,
    dimensions,
    is_local,
    model_fields,
)
from llem_core.models.shapes import get_shape, is_shape
from llem_core.processes.host import available_bytes

from llem_vllm.arguments import position_limit
from llem_vllm.audit import ENGINE_PASSABLE, SAMPLING_PASSABLE
from llem_vllm.config import VllmConfig
from llem_vllm.requirements import device_kind, unmet_requirements

_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}


def check(workload: Workload) -> CheckReport:
    """Problems, place and memory of a workload.

    Raises:
        ConfigError: the model or an argument can never be, on whatever machine.
    """
    section = workload.section
    assert isinstance(section, VllmConfig)
    _check_model(workload, section)
    _check_adapter(workload)
    _check_passthrough(workload)
    kind = device_kind()
    fields = model_fields(workload.model, section.revision)
    return CheckReport(
        problems=(*unmet_requirements(section.n_devices), *_too_long(workload, section, fields)),
        device_kind=kind,
        memory_estimate_bytes=_estimate_bytes(workload, section, fields),
        memory_available_bytes=available_bytes() if kind == "cpu" else None,
        notes=tuple(_notes(workload, section, fields)),
    )


def _check_model(workload: Workload, section: VllmConfig) -> None:
    model = workload.model
    if is_shape(model):
        get_shape(model)
        return
    if is_local(model):
        folder = Path(model).expanduser()
        if not folder.is_dir():
            raise ConfigError(
                f"model: there is no folder {model}; give a folder that exists, or a name on the "
                "hub."
            )
        if not (folder / "config.json").is_file():
            raise ConfigError(
                f"model: {folder} has no config.json; it is not a checkpoint that vLLM reads."
            )
    fields = checkpoint_fields(model, section.revision)
    if fields is None:
        return
    if (why_not := why_not_causal(f"model: {model}", fields)) is not None:
        raise ConfigError(why_not)
    if needs_own_code(fields) and not section.trust_remote_code:
        raise ConfigError(untrusted_code(f"model: {model}", "vllm"))


def _check_adapter(workload: Workload) -> None:
    lora = workload.lora
    if lora is None:
        return
    if lora.merge or lora.revision is not None:
        raise ConfigError(
            "lora.merge and lora.revision are not for vLLM, which computes an adapter beside the "
            "model, from a folder; fetch the adapter's revision into a folder, and leave merge out."
        )
    if is_local(lora.adapter):
        folder = Path(lora.adapter).expanduser()
        if not (folder / "adapter_config.json").is_file():
            raise ConfigError(
                f"lora.adapter: {folder} has no adapter_config.json; it is not an adapter of PEFT."
            )


def _check_passthrough(workload: Workload) -> None:
    known = ENGINE_PASSABLE.keys() | SAMPLING_PASSABLE.keys()
    refused = sorted(set(workload.passthrough_kwargs) - known)
    if refused:
        raise ConfigError(
            f"passthrough_kwargs has {', '.join(refused)}, which is no argument of vLLM's that "
            "llem leaves open: it is a declared field, is set by llem itself, or does not exist; "
            "llem_vllm.audit says which."
        )


def _too_long(
    workload: Workload, section: VllmConfig, fields: dict[str, Any] | None
) -> Iterator[str]:
    wanted = workload.max_input_tokens + workload.max_output_tokens
    limit = section.max_model_len
    if limit is not None and limit < wanted:
        yield (
            f"vllm.max_model_len is {limit}, and max_input_tokens and max_output_tokens come to "
            f"{wanted}; raise it to {wanted} at the least, or lower those"
        )
    stated = position_limit(workload, fields) if limit is None else None
    if stated is not None and stated < workload.max_output_tokens:
        yield (
            f"max_output_tokens is {workload.max_output_tokens}, and the model has {stated} "
            "positions; lower it"
        )


def _estimate_bytes(
    workload: Workload, section: VllmConfig, fields: dict[str, Any] | None
) -> int | None:
    """Weights, and the cache where its size is given; vLLM takes what is free otherwise."""
    dims = dimensions(fields or {})
    if dims is None or section.quantization or (fields or {}).get("quantization_config"):
        return None
    cache = section.kv_cache_memory_bytes or 0
    return count_parameters(dims) * _BYTES.get(workload.precision, 2) + cache * section.n_devices


def _notes(workload: Workload, section: VllmConfig, fields: dict[str, Any] | None) -> Iterator[str]:
    if fields is None:
        yield "the model's configuration is not at hand: no memory estimate"
    if section.max_model_len is None:
        limit = position_limit(workload, fields)
        wanted = workload.max_input_tokens + workload.max_output_tokens
        if limit is not None and limit < wanted:
            yield (
                f"max_input_tokens and max_output_tokens come to {wanted} positions, and the model "
                f"was made for {limit}: a prompt that is too long with its output ends the run"
            )
