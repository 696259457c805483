"""Looks at a workload without loading it and without importing torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llem_core.contracts import CheckReport, Workload
from llem_core.errors import ConfigError
from llem_core.models.architecture import (
    dropped_quantisation,
    needs_own_code,
    pickled_only,
    untrusted_code,
    why_not_causal,
)
from llem_core.models.checkpoint import (
    checkpoint_fields,
    checkpoint_folder,
    is_local,
    model_fields,
)
from llem_core.models.shapes import get_shape, is_shape
from llem_core.processes.host import available_bytes

from llem_pytorch.audit import FORBIDDEN_PASSTHROUGH, split_passthrough
from llem_pytorch.config import PyTorchConfig
from llem_pytorch.model.memory import estimate_bytes
from llem_pytorch.requirements import device_kind, unmet_requirements


def check(workload: Workload) -> CheckReport:
    """Problems, place and memory of a workload.

    Raises:
        ConfigError: the model or an argument can never be, on whatever machine.
    """
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    _check_model(workload, section)
    _check_assistant(section)
    _check_architecture("model", workload.model, section.revision, section)
    if section.assistant_model is not None:
        _check_architecture("pytorch.assistant_model", section.assistant_model, None, section)
    _check_adapter(workload)
    _check_passthrough(workload, section)
    kind = device_kind(section)
    fields = model_fields(workload.model, section.revision, section.subfolder)
    return CheckReport(
        problems=tuple(unmet_requirements(workload, section)),
        device_kind=kind,
        memory_estimate_bytes=estimate_bytes(workload, fields, kind == "gpu") if fields else None,
        memory_available_bytes=available_bytes() if kind == "cpu" else None,
        notes=tuple(_notes(workload, fields, kind)),
    )


def _check_model(workload: Workload, section: PyTorchConfig) -> None:
    model = workload.model
    if is_shape(model):
        get_shape(model)
        if section.quantised or section.gguf_file or section.device_map:
            raise ConfigError(
                f"{model} has random weights that are made in place: it takes no quantisation, "
                "device_map or gguf_file."
            )
    elif is_local(model) and section.gguf_file is not None:
        folder = _folder("model", model)
        if not (folder / section.gguf_file).is_file():
            raise ConfigError(f"pytorch.gguf_file: {folder} has no file {section.gguf_file}.")
    elif is_local(model):
        _check_checkpoint("model", model, section.subfolder)


def _check_assistant(section: PyTorchConfig) -> None:
    model = section.assistant_model
    if model is None:
        return
    if is_shape(model):
        get_shape(model)
    elif is_local(model):
        _check_checkpoint("pytorch.assistant_model", model, None)


def _check_architecture(
    name: str, model: str, revision: str | None, section: PyTorchConfig
) -> None:
    subfolder = section.subfolder if name == "model" else None
    fields = None if is_shape(model) else checkpoint_fields(model, revision, subfolder)
    if fields is None:
        return
    if (why_not := why_not_causal(f"{name}: {model}", fields)) is not None:
        raise ConfigError(why_not)
    if needs_own_code(fields) and not section.trust_remote_code:
        raise ConfigError(untrusted_code(f"{name}: {model}", "pytorch"))


def _check_adapter(workload: Workload) -> None:
    if workload.lora is None or not is_local(workload.lora.adapter):
        return
    folder = _folder("lora.adapter", workload.lora.adapter)
    if not (folder / "adapter_config.json").is_file():
        raise ConfigError(
            f"lora.adapter: {folder} has no adapter_config.json; it is not an adapter of PEFT."
        )


def _check_checkpoint(name: str, model: str, subfolder: str | None) -> None:
    folder = _folder(name, model) / (subfolder or "")
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{name}: {folder} has no config.json; it is not a checkpoint of transformers. "
            "For a GGUF file, set pytorch.gguf_file."
        )


def _folder(name: str, path: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"{name}: there is no folder {path}; give a folder that exists, or a name on the hub."
        )
    return folder


def _check_passthrough(workload: Workload, section: PyTorchConfig) -> None:
    given = dict(workload.passthrough_kwargs)
    taken = sorted(FORBIDDEN_PASSTHROUGH & set(given))
    if taken:
        raise ConfigError(
            f"passthrough_kwargs has {', '.join(taken)}, which llem sets itself; use the declared "
            "fields of the experiment or of the pytorch section."
        )
    loading = split_passthrough(given)[1]
    if loading and (is_shape(workload.model) or section.load_format == "dummy"):
        raise ConfigError(
            f"passthrough_kwargs has {', '.join(sorted(loading))}, which would have no effect: "
            "random weights are made in place, without from_pretrained."
        )


def _notes(workload: Workload, fields: dict[str, Any] | None, kind: str) -> Iterator[str]:
    if fields is None:
        yield "the model's configuration is not at hand: no memory estimate"
    if kind == "cpu" and workload.precision == "fp16":
        yield "fp16 is slow on most CPUs; bf16 or fp32 may say more"
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    if section.load_format == "dummy":
        yield from dropped_quantisation(fields or {})
    elif not is_shape(workload.model):
        folder = checkpoint_folder(workload.model, section.revision) / (section.subfolder or "")
        if pickled_only(folder):
            yield (
                "the weights are pickled: only tensors are read from them, and a file that holds "
                "other objects is refused; pytorch.trust_remote_code does not change that"
            )
    limit = (fields or {}).get("max_position_embeddings")
    positions = workload.max_input_tokens + workload.max_output_tokens
    if isinstance(limit, int) and positions > limit:
        yield (
            f"max_input_tokens and max_output_tokens come to {positions} positions, and the model "
            f"was made for {limit}"
        )
