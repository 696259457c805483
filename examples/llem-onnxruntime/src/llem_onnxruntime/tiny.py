"""Makes a tiny causal language model in ONNX: ``python -m llem_onnxruntime.tiny <folder>``.

A decoder with learned positions, pre-norm attention and a plain feed-forward layer, with
random weights and a byte vocabulary. Its inputs and outputs are named as optimum names them,
so whatever runs it runs exported models.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

VOCABULARY, BOS_ID, EOS_ID, PAD_ID = 259, 256, 257, 258
_OPSET, _IR_VERSION = 17, 9
_FAR_BELOW = -1e9


@dataclass(frozen=True, slots=True)
class TinyShape:
    """Dimensions of the model.

    Attributes:
        layers, heads, width: layers, attention heads, and numbers in each head.
        positions: longest sequence (tokens).
        cache: whether the graph has a key-value cache.
        seed: of the weights.
    """

    layers: int = 2
    heads: int = 4
    width: int = 16
    positions: int = 1024
    cache: bool = True
    seed: int = 0

    @property
    def hidden(self) -> int:
        """Width of the model."""
        return self.heads * self.width


def write_tiny_model(folder: Path, shape: TinyShape = TinyShape()) -> Path:
    """Write ``model.onnx`` and ``config.json`` into a folder, which is made if need be.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(tiny_model(shape), folder / "model.onnx")
    config = {
        "vocab_size": VOCABULARY,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "max_position_embeddings": shape.positions,
        "bos_token_id": BOS_ID,
        "eos_token_id": EOS_ID,
        "pad_token_id": PAD_ID,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return folder


def tiny_model(shape: TinyShape) -> Any:
    """The model as a protobuf message, checked."""
    maker = _Maker(shape.seed)
    logits, presents = _decoder(maker, shape)
    inputs = [
        _value("input_ids", TensorProto.INT64, ["batch", "sequence"]),
        _value("attention_mask", TensorProto.INT64, ["batch", "total"]),
        _value("position_ids", TensorProto.INT64, ["batch", "sequence"]),
    ]
    outputs = [_value(logits, TensorProto.FLOAT, ["batch", "sequence", VOCABULARY])]
    for number, names in enumerate(presents if shape.cache else ()):
        for half, name in zip(("key", "value"), names, strict=True):
            given = f"past_key_values.{number}.{half}"
            inputs.append(_cache(given, "past", shape))
            outputs.append(_cache(name, "total", shape))
    graph = helper.make_graph(maker.nodes, "tiny", inputs, outputs, maker.weights)
    opsets = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    helper.set_model_props(model, {"random_weights": "true"})
    onnx.checker.check_model(model)
    return model


class _Maker:
    """Collects nodes and weights, and names what they give."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._random = np.random.default_rng(seed)

    def op(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def random(self, name: str, *shape: int) -> str:
        values = self._random.standard_normal(shape) / math.sqrt(shape[0])
        return self._keep(name, values.astype(np.float32))

    def ones(self, name: str, size: int) -> str:
        return self._keep(name, np.ones(size, dtype=np.float32))

    def number(self, value: float) -> str:
        return self._keep(f"number_{len(self.weights)}", np.array(value, dtype=np.float32))

    def whole(self, value: int | Sequence[int]) -> str:
        return self._keep(f"whole_{len(self.weights)}", np.array(value, dtype=np.int64))

    def _keep(self, name: str, values: Any) -> str:
        self.weights.append(numpy_helper.from_array(values, name))
        return name


def _decoder(make: _Maker, shape: TinyShape) -> tuple[str, list[tuple[str, str]]]:
    tokens = make.random("embed_tokens", VOCABULARY, shape.hidden)
    places = make.random("embed_positions", shape.positions, shape.hidden)
    stream = make.op(
        "Add",
        make.op("Gather", tokens, "input_ids"),
        make.op("Gather", places, "position_ids"),
    )
    bias = _mask(make)
    presents = []
    for number in range(shape.layers):
        added, present = _attention(make, shape, number, _norm(make, shape, stream), bias)
        stream = make.op("Add", stream, added)
        presents.append(present)
        stream = make.op("Add", stream, _feed_forward(make, shape, number, stream))
    head = make.random("lm_head", shape.hidden, VOCABULARY)
    logits = make.op("MatMul", _norm(make, shape, stream), head, name="logits")
    return logits, presents


def _mask(make: _Maker) -> str:
    """0 where a token may look, far below where not: the future and the padding."""
    zero, one = make.whole(0), make.whole(1)
    total = make.op("Gather", make.op("Shape", "attention_mask"), one)
    length = make.op("Gather", make.op("Shape", "input_ids"), one)
    keys = make.op("Range", zero, total, one)
    queries = make.op("Range", make.op("Sub", total, length), total, one)
    causal = make.op("LessOrEqual", keys, make.op("Unsqueeze", queries, make.whole([1])))
    real = make.op("Unsqueeze", "attention_mask", make.whole([1, 2]))
    seen = make.op("And", causal, make.op("Cast", real, to=TensorProto.BOOL))
    return make.op("Where", seen, make.number(0.0), make.number(_FAR_BELOW))


def _norm(make: _Maker, shape: TinyShape, stream: str) -> str:
    scale = make.ones(f"norm_{len(make.nodes)}", shape.hidden)
    return make.op("LayerNormalization", stream, scale)


def _attention(
    make: _Maker, shape: TinyShape, number: int, stream: str, bias: str
) -> tuple[str, tuple[str, str]]:
    def heads(part: str) -> str:
        weight = make.random(f"layer_{number}_{part}", shape.hidden, shape.hidden)
        split = make.whole([0, 0, shape.heads, shape.width])
        flat = make.op("MatMul", stream, weight)
        return make.op("Transpose", make.op("Reshape", flat, split), perm=[0, 2, 1, 3])

    def with_past(part: str) -> str:
        new, name = heads(part), f"present.{number}.{part}"
        if not shape.cache:
            return make.op("Identity", new, name=name)
        return make.op("Concat", f"past_key_values.{number}.{part}", new, name=name, axis=2)

    query, key, value = heads("query"), with_past("key"), with_past("value")
    scores = make.op("MatMul", query, make.op("Transpose", key, perm=[0, 1, 3, 2]))
    scaled = make.op("Mul", scores, make.number(1 / math.sqrt(shape.width)))
    shares = make.op("Softmax", make.op("Add", scaled, bias), axis=-1)
    mixed = make.op("Transpose", make.op("MatMul", shares, value), perm=[0, 2, 1, 3])
    joined = make.op("Reshape", mixed, make.whole([0, 0, shape.hidden]))
    out = make.random(f"layer_{number}_out", shape.hidden, shape.hidden)
    return make.op("MatMul", joined, out), (key, value)


def _feed_forward(make: _Maker, shape: TinyShape, number: int, stream: str) -> str:
    up = make.random(f"layer_{number}_up", shape.hidden, 4 * shape.hidden)
    down = make.random(f"layer_{number}_down", 4 * shape.hidden, shape.hidden)
    wide = make.op("Relu", make.op("MatMul", _norm(make, shape, stream), up))
    return make.op("MatMul", wide, down)


def _value(name: str, kind: int, shape: Sequence[int | str]) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _cache(name: str, positions: str, shape: TinyShape) -> Any:
    return _value(name, TensorProto.FLOAT, ["batch", shape.heads, positions, shape.width])


def main() -> None:
    """Write the model that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m llem_onnxruntime.tiny", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--width", type=int, default=16, help="numbers in a head")
    parser.add_argument("--no-cache", action="store_true", help="a graph without a cache")
    given = parser.parse_args()
    shape = TinyShape(given.layers, given.heads, given.width, cache=not given.no_cache)
    folder = write_tiny_model(given.folder, shape)
    os.write(1, f"{folder}/model.onnx: {shape.layers} layers of {shape.hidden}\n".encode())


if __name__ == "__main__":
    main()
