"""What a graph says of itself, read without its weights: parameters, dtype, vocabulary."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

# Elements of these types are weights; whole numbers of 64 bits are shapes and indices.
_DTYPES = {
    onnx.TensorProto.FLOAT: ("fp32", 4),
    onnx.TensorProto.FLOAT16: ("fp16", 2),
    onnx.TensorProto.BFLOAT16: ("bf16", 2),
    onnx.TensorProto.INT8: ("int8", 1),
    onnx.TensorProto.UINT8: ("int8", 1),
}
# Their weights are packed, several to an element.
_PACKED = frozenset({"MatMulNBits", "MatMulBnb4", "QMoE"})


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """Facts of a graph.

    Attributes:
        parameters: elements of all weights; ``None`` where they are packed.
        parameters_non_embedding: without embedding tables and output projection.
        dtype: the dtype that most of them have.
        weights_bytes: size of all weights (bytes).
        vocabulary: tokens that it tells apart; ``None`` where the graph leaves it open.
        opset: version of ONNX's own operators.
        properties: what its maker noted, such as ``random_weights``.
    """

    parameters: int | None
    parameters_non_embedding: int | None
    dtype: str | None
    weights_bytes: int
    vocabulary: int | None
    opset: int | None
    properties: dict[str, str]


def read_graph(path: Path) -> GraphFacts:
    """Read a graph's facts; weights that lie beside it are not loaded.

    A model whose output projection is packed (4 bits) has no count of parameters: how many an
    element holds is the operator's own affair.
    """
    model = onnx.load(path, load_external_data=False)
    # A single number is a constant of some operator.
    weights = [w for w in model.graph.initializer if w.data_type in _DTYPES and w.dims]
    sizes = {w.name: math.prod(w.dims) for w in weights}
    vocabulary = _vocabulary(model.graph)
    tables = set(_tables(model.graph, weights, vocabulary))
    packed = any(node.op_type in _PACKED for node in model.graph.node)
    total = sum(sizes.values())
    kinds: Counter[str] = Counter()
    for weight in weights:
        kinds[_DTYPES[weight.data_type][0]] += sizes[weight.name]
    known = bool(total) and not packed
    return GraphFacts(
        parameters=total if known else None,
        parameters_non_embedding=total - sum(sizes[t] for t in tables) if known else None,
        dtype="int4" if packed else kinds.most_common(1)[0][0] if kinds else None,
        weights_bytes=sum(sizes[w.name] * _DTYPES[w.data_type][1] for w in weights),
        vocabulary=vocabulary,
        opset=next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), None),
        properties={entry.key: entry.value for entry in model.metadata_props},
    )


def _vocabulary(graph: Any) -> int | None:
    for output in graph.output:
        if output.name == "logits":
            dim = output.type.tensor_type.shape.dim[-1]
            return int(dim.dim_value) or None
    return None


def _tables(graph: Any, weights: list[Any], vocabulary: int | None) -> Iterator[str]:
    """Names of embedding tables and of the output projection.

    A table is a matrix that a Gather looks up rows of, or whose one side is the vocabulary.
    """
    looked_up = {node.input[0] for node in graph.node if node.op_type.startswith("Gather")}
    for weight in weights:
        if len(weight.dims) == 2 and (weight.name in looked_up or vocabulary in weight.dims):
            yield weight.name
