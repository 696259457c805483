"""Looks at a workload without loading it and without importing torch."""

from __future__ import annotations

import importlib.util
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from llem_core.contracts import CheckReport, Workload
from llem_core.errors import ConfigError

from llem_pytorch.audit import FORBIDDEN_PASSTHROUGH
from llem_pytorch.config import PyTorchConfig
from llem_pytorch.memory import available_bytes, estimate_bytes, model_fields
from llem_pytorch.shapes import get_shape, is_shape


def check(workload: Workload) -> CheckReport:
    """Problems, place and memory of a workload.

    Raises:
        ConfigError: the model or an argument can never be, on whatever machine.
    """
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    _check_model(workload, section)
    _check_passthrough(workload)
    kind = device_kind(section)
    fields = model_fields(workload)
    return CheckReport(
        problems=(*_missing_packages(workload, section), *_device_problems(section)),
        device_kind=kind,
        memory_estimate_bytes=estimate_bytes(workload, fields, kind == "gpu") if fields else None,
        memory_available_bytes=available_bytes() if kind == "cpu" else None,
        notes=() if fields else ("the model's configuration is not at hand: no memory estimate",),
    )


def device_kind(section: PyTorchConfig) -> Literal["cpu", "gpu"]:
    """Where the model would run, as far as that can be told without torch."""
    if section.device == "cpu":
        return "cpu"
    if (section.device or "auto").startswith("cuda"):
        return "gpu"
    return "gpu" if _has_gpu() and not _cpu_build() else "cpu"


def is_local(model: str) -> bool:
    """Whether a model's name can only be a path."""
    return model.startswith(("./", "../", "/", "~")) or Path(model).is_dir()


def _check_model(workload: Workload, section: PyTorchConfig) -> None:
    for name, model in (("model", workload.model), ("assistant_model", section.assistant_model)):
        if model is None:
            continue
        if is_shape(model):
            get_shape(model)
            continue
        if not is_local(model):
            continue
        path = Path(model).expanduser()
        if not path.is_dir():
            raise ConfigError(
                f"{name}: there is no folder {model}; give the folder of a checkpoint, a hub id, "
                "or `shape:<name>`."
            )
        if name == "model" and section.gguf_file is not None:
            if not (path / section.gguf_file).is_file():
                raise ConfigError(f"pytorch.gguf_file: {path} has no file {section.gguf_file}.")
        elif not (path / (section.subfolder or "") / "config.json").is_file():
            raise ConfigError(
                f"{name}: {model} has no config.json; it is not a checkpoint of transformers. "
                "For a GGUF file, set pytorch.gguf_file."
            )
    if is_shape(workload.model) and (section.quantised or section.gguf_file or section.device_map):
        raise ConfigError(
            f"{workload.model} has random weights that are made in place: it takes no "
            "quantisation, device_map or gguf_file."
        )


def _check_passthrough(workload: Workload) -> None:
    taken = sorted(FORBIDDEN_PASSTHROUGH & set(workload.passthrough_kwargs))
    if taken:
        raise ConfigError(
            f"passthrough_kwargs has {', '.join(taken)}, which llem sets itself; use the declared "
            "fields of the experiment or of the pytorch section."
        )


def _missing_packages(workload: Workload, section: PyTorchConfig) -> list[str]:
    wanted = (
        (section.quantised, "bitsandbytes", "load_in_4bit and load_in_8bit", "bitsandbytes"),
        (section.quantised, "accelerate", "load_in_4bit and load_in_8bit", "bitsandbytes"),
        (section.device_map is not None, "accelerate", "device_map", "accelerate"),
        (section.gguf_file is not None, "gguf", "gguf_file", "gguf"),
        (workload.lora is not None, "peft", "lora", "lora"),
    )
    problems = [
        f"{what}: {package} is not installed; run `pip install 'llem-pytorch[{extra}]'`"
        for needed, package, what, extra in wanted
        if needed and importlib.util.find_spec(package) is None
    ]
    attention = section.attn_implementation
    if attention == "flash_attention_2" and importlib.util.find_spec("flash_attn") is None:
        problems.append(
            "attn_implementation flash_attention_2 needs flash-attn; install it, or use sdpa"
        )
    return list(dict.fromkeys(problems))


def _device_problems(section: PyTorchConfig) -> list[str]:
    if not (section.device or "").startswith("cuda"):
        return []
    if _cpu_build():
        return ["device is cuda, but the installed torch is a CPU build; install a CUDA build"]
    if not _has_gpu():
        return ["device is cuda, but this machine shows no NVIDIA GPU; use device: cpu"]
    return []


def _cpu_build() -> bool:
    try:
        return "cpu" in version("torch").partition("+")[2]
    except PackageNotFoundError:
        return True


def _has_gpu() -> bool:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1"}:
        return False
    return any(Path("/proc/driver/nvidia/gpus").glob("*")) or Path("/dev/nvidia0").exists()
