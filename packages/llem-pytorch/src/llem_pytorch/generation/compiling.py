"""What is compiled, and whether it was compiled before the window was opened."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from llem_core.contracts import Batch
from transformers import CompileConfig

from llem_pytorch.config import PyTorchConfig
from llem_pytorch.generation.batching import Encoded

GRAPH_MODES = ("reduce-overhead", "max-autotune")


def has_static_cache(section: PyTorchConfig) -> bool:
    """Whether the cache has its full length from the first token on."""
    return (section.cache_implementation or "").endswith("static")


def compile_mode(section: PyTorchConfig, device: torch.device, model: Any = None) -> str | None:
    """Mode of ``torch.compile`` that runs; ``None`` where nothing is compiled.

    With a static cache on CUDA, transformers compiles by itself unless it is told not to, and
    unless weights are moved in and out or are of a quantisation that it cannot compile.

    Args:
        section: what is asked for.
        device: where the model runs.
        model: as loaded; ``None`` before.
    """
    by_itself = has_static_cache(section) and device.type == "cuda"
    if by_itself and not _can_be_compiled(model):
        return None
    if section.torch_compile:
        return section.torch_compile if isinstance(section.torch_compile, str) else "default"
    if by_itself and section.torch_compile is None:
        return str(CompileConfig().mode or "default")
    return None


def _can_be_compiled(model: Any) -> bool:
    places = {str(place) for place in (getattr(model, "hf_device_map", None) or {}).values()}
    if "disk" in places or ("cpu" in places and len(places) > 1):
        return False
    quantizer = getattr(model, "hf_quantizer", None)
    return quantizer is None or bool(quantizer.is_compileable)


def compile_arguments(section: PyTorchConfig) -> dict[str, Any]:
    """Arguments of ``torch.compile`` for ``torch_compile`` and its options."""
    mode = section.torch_compile if isinstance(section.torch_compile, str) else "default"
    return {
        "mode": mode,
        "fullgraph": bool(section.compile_fullgraph),
        "dynamic": section.compile_dynamic,
    }


@dataclass(frozen=True, slots=True)
class Shape:
    """What a batch is compiled for.

    Attributes:
        rows: prompts.
        positions: of the longest prompt.
        max_new_tokens: output tokens at the most.
    """

    rows: int
    positions: int
    max_new_tokens: int


def shape_of(rows: Sequence[Encoded]) -> Shape:
    """The shape of a batch that is padded to its longest prompt."""
    return Shape(len(rows), max(len(row.ids) for row in rows), rows[0].max_new_tokens)


def shape_like(rows: Sequence[Encoded], known: Iterable[Shape]) -> Shape | None:
    """The nearest known shape with as many rows and the same output limit; ``None`` if none has."""
    if len({row.max_new_tokens for row in rows}) != 1:
        return None
    own = shape_of(rows)
    like = [s for s in known if (s.rows, s.max_new_tokens) == (own.rows, own.max_new_tokens)]
    return min(like, key=lambda s: (abs(s.positions - own.positions), s.positions), default=None)


def fit(rows: Sequence[Encoded], shape: Shape) -> list[Encoded]:
    """The rows cut to a shape's positions; padding brings shorter ones to it."""
    return [replace(row, ids=row.ids[: shape.positions]) for row in rows]


def distinct_shapes(batches: Sequence[Batch]) -> tuple[Batch, ...]:
    """The first batch of each shape, the largest first."""
    found: dict[Shape, Batch] = {}
    for batch in sorted(batches, key=lambda batch: -batch.padded_tokens):
        rows, positions = batch.payload.ids.shape
        shape = Shape(rows, positions, batch.payload.settings.max_new_tokens)
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
