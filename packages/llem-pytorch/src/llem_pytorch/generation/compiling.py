"""What is compiled, and whether it was compiled before the window was opened."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from llem_core.contracts import Batch
from transformers import CompileConfig

from llem_pytorch.config import PyTorchConfig

GRAPH_MODES = ("reduce-overhead", "max-autotune")


def compile_mode(section: PyTorchConfig, device: torch.device) -> str | None:
    """Mode of ``torch.compile`` that runs; ``None`` where nothing is compiled.

    With a static cache on CUDA, transformers compiles unless it is told not to.
    """
    if section.torch_compile:
        return section.torch_compile if isinstance(section.torch_compile, str) else "default"
    static = (section.cache_implementation or "").endswith("static")
    if static and device.type == "cuda" and section.torch_compile is None:
        return str(CompileConfig().mode or "default")
    return None


def compile_arguments(section: PyTorchConfig) -> dict[str, Any]:
    """Arguments of ``torch.compile`` for ``torch_compile`` and its options."""
    mode = section.torch_compile if isinstance(section.torch_compile, str) else "default"
    return {
        "mode": mode,
        "fullgraph": bool(section.compile_fullgraph),
        "dynamic": section.compile_dynamic,
    }


def distinct_shapes(batches: Sequence[Batch]) -> tuple[Batch, ...]:
    """The first batch of each shape (rows, prompt positions, output limit), the largest first."""
    found: dict[tuple[int, ...], Batch] = {}
    for batch in sorted(batches, key=lambda batch: -batch.padded_tokens):
        shape = (*batch.payload.ids.shape, batch.payload.settings.max_new_tokens)
        found.setdefault(shape, batch)
    return tuple(found.values())


class Compilations:
    """Counts what torch compiles between ``begin`` and ``remark``."""

    def __init__(self) -> None:
        self._before = 0

    def begin(self) -> None:
        """Count from here on."""
        self._before = _compiled_frames()

    def remark(self) -> str | None:
        """That something was compiled, if it was."""
        new = _compiled_frames() - self._before
        if new <= 0:
            return None
        return (
            f"torch compiled {new} times within the window, which takes seconds each and is in "
            "speed and energy: shapes came that the warm-up had not had. Set compile_dynamic: "
            "true, or cache_implementation: static, or a dataset of fewer lengths."
        )


def forget_compiled() -> None:
    """Free what ``torch.compile`` keeps of a model, in a process that goes on to another."""
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()


def _compiled_frames() -> int:
    if "torch._dynamo" not in sys.modules:
        return 0
    from torch._dynamo.utils import counters

    return int(counters["frames"]["ok"])
