"""Groups tokenised prompts into batches, and pads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt as tokens.

    Attributes:
        index: the prompt's index.
        ids: its tokens, cut to the limit.
        truncated: whether they were cut.
        max_new_tokens: output tokens at the most.
        exact: generate exactly that many.
    """

    index: int
    ids: list[int]
    truncated: bool
    max_new_tokens: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Inputs:
    """A batch that is ready to run.

    Attributes:
        ids, mask: tokens, and 1 where a token is none of the padding: (rows, longest prompt).
        most: output tokens of a row at the most.
        least: output tokens of a row at the least.
        eos_ids: tokens that end a row; empty where nothing does.
    """

    ids: Ints
    mask: Ints
    most: int
    least: int
    eos_ids: tuple[int, ...]


def group(prompts: Sequence[Encoded], size: int) -> Iterator[list[Encoded]]:
    """Batches, in order, of prompts with one output limit: no row works for another's."""
    kinds: dict[tuple[int, bool], list[Encoded]] = {}
    for prompt in prompts:
        kinds.setdefault((prompt.max_new_tokens, prompt.exact), []).append(prompt)
    for kind in kinds.values():
        yield from (kind[start : start + size] for start in range(0, len(kind), size))


def pad(rows: Sequence[Encoded]) -> tuple[Ints, Ints]:
    """Token ids and mask, padded on the left: every row goes on from the last column."""
    longest = max(len(row.ids) for row in rows)
    ids: Any = np.zeros((len(rows), longest), dtype=np.int64)
    mask: Any = np.zeros((len(rows), longest), dtype=np.int64)
    for number, row in enumerate(rows):
        ids[number, longest - len(row.ids) :] = row.ids
        mask[number, longest - len(row.ids) :] = 1
    return ids, mask
