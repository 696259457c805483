"""A loaded graph, and the names of its inputs and outputs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from llem_core.contracts import Workload
from llem_core.errors import BackendError

from llem_onnxruntime.config import OnnxRuntimeConfig

_PAST = re.compile(r"past_key_values\.(\d+)\.(key|value)")
_KNOWN = {"input_ids", "attention_mask", "position_ids", "use_cache_branch"}
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_ERRORS_ONLY = 3
_LEVELS = {
    "disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


@dataclass(frozen=True, slots=True)
class Past:
    """One half of a layer's cache.

    Attributes:
        name: the input's name.
        present: name of the output that is its next value.
        heads, width: key-value heads, and numbers in each.
        dtype: numpy's.
    """

    name: str
    present: str
    heads: int
    width: int
    dtype: Any


@dataclass(frozen=True, slots=True)
class Graph:
    """A session, and what it takes beside ``input_ids``.

    Attributes:
        session: of ONNX Runtime.
        inputs: names of its inputs.
        past: the cache; empty for a graph without one.
    """

    session: Any
    inputs: frozenset[str]
    past: tuple[Past, ...]

    @property
    def layers(self) -> int | None:
        """Layers that attend, as far as the cache shows them."""
        return len(self.past) // 2 or None


def load_graph(path: Path, workload: Workload) -> Graph:
    """Load a graph that was exported for generation, as optimum names its parts.

    Raises:
        BackendError: it is something else.
    """
    session = ort.InferenceSession(
        path, session_options(workload), providers=["CPUExecutionProvider"]
    )
    inputs = {each.name: each for each in session.get_inputs()}
    outputs = {each.name for each in session.get_outputs()}
    unknown = sorted(n for n in inputs if n not in _KNOWN and not _PAST.fullmatch(n))
    if unknown or "input_ids" not in inputs or "logits" not in outputs:
        raise BackendError(
            f"{path} is no graph of a decoder: it takes {', '.join(inputs)} and gives "
            f"{', '.join(sorted(outputs))}. Export it for text generation, with or without cache."
        )
    past = [_past(each, outputs, path) for name, each in inputs.items() if _PAST.fullmatch(name)]
    return Graph(session, frozenset(inputs), tuple(past))


def session_options(workload: Workload) -> Any:
    """ONNX Runtime's options of a workload; ``passthrough_kwargs`` are configuration entries."""
    section = workload.section
    assert isinstance(section, OnnxRuntimeConfig)
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if section.intra_op_threads is not None:
        options.intra_op_num_threads = section.intra_op_threads
    if section.graph_optimization is not None:
        options.graph_optimization_level = _LEVELS[section.graph_optimization]
    if section.memory_arena is not None:
        options.enable_cpu_mem_arena = section.memory_arena
    for key, value in workload.passthrough_kwargs.items():
        options.add_session_config_entry(key, str(int(value) if value is True else value))
    return options


def _past(given: Any, outputs: set[str], path: Path) -> Past:
    match = _PAST.fullmatch(given.name)
    assert match is not None
    present = f"present.{match[1]}.{match[2]}"
    shape = given.shape
    if present not in outputs or len(shape) != 4 or given.type not in _TYPES:
        raise BackendError(
            f"{path}: the cache {given.name} ({given.type}, shape {shape}) is not of the form "
            f"(batch, heads, positions, width) with an output {present}"
        )
    if not (isinstance(shape[1], int) and isinstance(shape[3], int)):
        raise BackendError(f"{path}: heads and width of the cache {given.name} are left open")
    return Past(given.name, present, shape[1], shape[3], _TYPES[given.type])
