"""What a section asks of the machine: packages, a GPU, a CUDA build of torch."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from llem_core.contracts import Workload
from llem_core.meters import has_nvidia_gpu

from llem_pytorch.config import PyTorchConfig

DRIVER_VERSION = Path("/proc/driver/nvidia/version")
# NVIDIA, CUDA compatibility: the oldest branch on which any release of that CUDA runs.
_LEAST_DRIVER = {11: 450, 12: 525, 13: 580}
_ATTENTION = {
    "flash_attention_2": "flash-attn",
    "flash_attention_3": "flash-attn-3",
    "flash_attention_4": "flash-attn-4",
}


def device_kind(section: PyTorchConfig) -> Literal["cpu", "gpu"]:
    """Where the model would run, as far as that can be told without torch."""
    if section.device == "cpu" or section.device_map == "cpu":
        return "cpu"
    if (section.device or "auto").startswith("cuda"):
        return "gpu"
    return "gpu" if visible_gpu() and not _cpu_build() else "cpu"


def unmet_requirements(workload: Workload, section: PyTorchConfig) -> Iterator[str]:
    """A sentence for each thing that is not there, saying what to do."""
    yield from dict.fromkeys(_missing_extras(workload, section))
    yield from _missing_kernels(section)
    yield from _missing_cache(workload, section)
    yield from _missing_compiler(section)
    if device_kind(section) == "gpu":
        yield from old_driver(version("torch"), DRIVER_VERSION)
    if (section.device or "").startswith("cuda"):
        if _cpu_build():
            yield "device is cuda, but the installed torch is a CPU build; install a CUDA build"
        elif not visible_gpu():
            yield "device is cuda, but this machine shows no NVIDIA GPU; use device: cpu"


def _missing_compiler(section: PyTorchConfig) -> Iterator[str]:
    gpu = device_kind(section) == "gpu"
    static = (section.cache_implementation or "").endswith("static")
    if not (section.torch_compile or (static and gpu and section.torch_compile is None)):
        return
    variable, names = ("CC", ("gcc", "clang", "cc")) if gpu else ("CXX", ("g++", "clang++", "c++"))
    wanted = (os.environ[variable],) if os.environ.get(variable) else names
    if not any(shutil.which(name) for name in wanted):
        kind = "C compiler (Triton builds with it)" if gpu else "C++ compiler"
        yield (
            f"compiling needs a {kind}, and {' or '.join(wanted)} is not found; install one (such "
            "as the package build-essential), or set torch_compile: false"
        )


def old_driver(torch_version: str, driver_file: Path) -> Iterator[str]:
    """That the NVIDIA driver is older than the CUDA that torch was built for, if it is.

    Args:
        torch_version: such as ``2.13.0+cu130``.
        driver_file: where the kernel module says its version; absent in some containers and
            under WSL, where nothing can be told.
    """
    cuda = re.search(r"\+cu(\d+)(\d)$", torch_version)
    try:
        driver = re.search(r"Module.*?\s(\d+)(\.[\d.]+)", driver_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    least = _LEAST_DRIVER.get(int(cuda[1])) if cuda else None
    if cuda and driver and least and int(driver[1]) < least:
        yield (
            f"torch {torch_version} was built for CUDA {cuda[1]}.{cuda[2]}, which needs an NVIDIA "
            f"driver of version {least} or later, and this one is {driver[1]}{driver[2]}: torch "
            "would run on the CPU; install a newer driver or a torch for an older CUDA, or take "
            "device: cpu"
        )


def _missing_extras(workload: Workload, section: PyTorchConfig) -> Iterator[str]:
    wanted = (
        (section.quantised, "bitsandbytes", "load_in_4bit and load_in_8bit", "bitsandbytes"),
        (section.quantised, "accelerate", "load_in_4bit and load_in_8bit", "bitsandbytes"),
        (section.device_map is not None, "accelerate", "device_map", "accelerate"),
        (section.gguf_file is not None, "gguf", "gguf_file", "gguf"),
        (workload.lora is not None, "peft", "lora", "lora"),
    )
    for needed, package, what, extra in wanted:
        if needed and find_spec(package) is None:
            yield f"{what}: {package} is not installed; run `pip install 'llem-pytorch[{extra}]'`"


def _missing_kernels(section: PyTorchConfig) -> Iterator[str]:
    attention = section.attn_implementation or ""
    # transformers takes a kernel of the hub where its own package is not installed.
    if find_spec("kernels") is not None:
        return
    package = _ATTENTION.get(attention)
    if package is not None and not _installed(package):
        yield f"attn_implementation {attention} needs {package} or kernels; or use sdpa"
    elif "/" in attention:
        yield f"attn_implementation {attention} is a kernel of the hub; run `pip install kernels`"


def _missing_cache(workload: Workload, section: PyTorchConfig) -> Iterator[str]:
    kind = section.cache_implementation or ""
    if kind.startswith("offloaded") and device_kind(section) == "cpu":
        yield (
            f"cache_implementation {kind} moves the cache from a GPU to the host, and there is no "
            f"GPU; use {'static' if 'static' in kind else 'dynamic'}"
        )
    options = workload.passthrough_kwargs.get("cache_config")
    backend = options.get("backend", "quanto") if isinstance(options, dict) else "quanto"
    package = {"quanto": "optimum-quanto", "hqq": "hqq"}.get(str(backend).lower())
    if kind == "quantized" and package is not None and not _installed(package):
        yield f"cache_implementation quantized needs {package}; run `pip install {package}`"


def _installed(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except PackageNotFoundError:
        return False


def _cpu_build() -> bool:
    try:
        return "cpu" in version("torch").partition("+")[2]
    except PackageNotFoundError:
        return True


def visible_gpu() -> bool:
    """Whether the machine shows an NVIDIA GPU, and the environment does not hide it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1"}:
        return False
    return has_nvidia_gpu()
