"""Greedy decoding, step by step: the measured loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort

from llem_onnxruntime.batching import Inputs, Ints
from llem_onnxruntime.session import Graph


@dataclass(frozen=True, slots=True)
class Generated:
    """What a batch gave.

    Attributes:
        tokens: (rows, steps); what follows a row's end means nothing.
        started_s: when the batch began (monotonic s).
        times_s: when each step's tokens were there (monotonic s).
    """

    tokens: Ints
    started_s: float
    times_s: list[float]


def generate(graph: Graph, inputs: Inputs) -> Generated:
    """Take the likeliest token until every row has ended or has as many as it may."""
    started_s = time.monotonic()
    ended = np.zeros(len(inputs.ids), dtype=bool)
    steps: list[Ints] = []
    times_s: list[float] = []
    walk = _walk(graph, inputs) if graph.past else _walk_without_cache(graph, inputs)
    logits = next(walk)
    while True:
        tokens = _choose(logits, inputs, len(steps))
        steps.append(tokens)
        times_s.append(time.monotonic())
        if inputs.eos_ids:
            ended |= np.isin(tokens, inputs.eos_ids)
        if len(steps) == inputs.most or ended.all():
            walk.close()
            return Generated(np.stack(steps, axis=1), started_s, times_s)
        logits = walk.send(tokens)


def _choose(logits: Any, inputs: Inputs, step: int) -> Ints:
    if step < inputs.least and inputs.eos_ids:
        logits = logits.copy()
        logits[:, list(inputs.eos_ids)] = -np.inf
    tokens: Ints = logits.argmax(axis=-1)
    return tokens


def _walk(graph: Graph, inputs: Inputs) -> Any:
    """Yield the logits of the next token, (rows, vocabulary); take the tokens chosen.

    The cache stays within ONNX Runtime: its outputs are the next step's inputs, uncopied.
    """
    rows = len(inputs.ids)
    ids, mask, positions = inputs.ids, inputs.mask, _positions(inputs.mask)
    cache = {
        past.name: _value(np.zeros((rows, past.heads, 0, past.width), dtype=past.dtype))
        for past in graph.past
    }
    names = ["logits", *(past.present for past in graph.past)]
    while True:
        feeds = {name: _value(array) for name, array in _given(graph, ids, mask, positions)}
        logits, *presents = graph.session.run_with_ort_values(names, feeds | cache)
        cache = {past.name: value for past, value in zip(graph.past, presents, strict=True)}
        ids = (yield logits.numpy()[:, -1])[:, None]
        mask = np.concatenate([mask, np.ones_like(ids)], axis=1)
        positions = positions[:, -1:] + 1


def _walk_without_cache(graph: Graph, inputs: Inputs) -> Any:
    """The same for a graph without a cache: every step runs all tokens so far."""
    ids, mask = inputs.ids, inputs.mask
    while True:
        feeds = dict(_given(graph, ids, mask, _positions(mask)))
        (logits,) = graph.session.run(["logits"], feeds)
        chosen = (yield logits[:, -1])[:, None]
        ids = np.concatenate([ids, chosen], axis=1)
        mask = np.concatenate([mask, np.ones_like(chosen)], axis=1)


def _given(graph: Graph, ids: Ints, mask: Ints, positions: Ints) -> Iterator[tuple[str, Any]]:
    every = {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": positions,
        # Merged graphs have one branch for the prompt and one for what follows it.
        "use_cache_branch": np.array([mask.shape[1] > ids.shape[1]]),
    }
    return ((name, array) for name, array in every.items() if name in graph.inputs)


def _positions(mask: Ints) -> Ints:
    """Positions of tokens, counted without the padding before them."""
    positions: Ints = np.maximum(mask.cumsum(axis=1) - 1, 0)
    return positions


def _value(array: Any) -> Any:
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
