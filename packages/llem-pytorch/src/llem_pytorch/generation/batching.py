"""Groups tokenised prompts into batches, and pads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from llem_pytorch.config import PyTorchConfig


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


def group(prompts: Sequence[Encoded], section: PyTorchConfig) -> Iterator[list[Encoded]]:
    """Batches of prompts with the same output limit, so that no row works for another's.

    Static: in the order of the prompts. Dynamic: sorted by length, as many as fit into
    ``max_batch_tokens`` with their padding, ``batch_size`` at the most.
    """
    kinds: dict[tuple[int, bool], list[Encoded]] = {}
    for prompt in prompts:
        kinds.setdefault((prompt.max_new_tokens, prompt.exact), []).append(prompt)
    for kind in kinds.values():
        if section.batching == "dynamic":
            assert section.max_batch_tokens is not None
            yield from _dynamic(kind, section.batch_size, section.max_batch_tokens)
        else:
            size = section.batch_size
            yield from (kind[start : start + size] for start in range(0, len(kind), size))


def pad(
    rows: Sequence[Encoded], pad_id: int, positions: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask of a batch, padded on the left.

    Left padding puts the last token of every prompt in the last column, where generation goes
    on; the mask, from which transformers derives positions, hides the padding.

    Args:
        rows: the prompts.
        pad_id: the token that fills up.
        positions: how many each row gets; as many as the longest prompt has if not given.

    Returns:
        Two tensors of shape (rows, positions), int64.
    """
    longest = positions or max(len(row.ids) for row in rows)
    ids = [[pad_id] * (longest - len(row.ids)) + row.ids for row in rows]
    mask = [[0] * (longest - len(row.ids)) + [1] * len(row.ids) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)


def longest_sequence(batches: Sequence[Sequence[Encoded]]) -> int:
    """Positions of the longest padded prompt with its output, over all batches."""
    return max(
        (max(len(row.ids) for row in rows) + rows[0].max_new_tokens for rows in batches), default=0
    )


def _dynamic(prompts: Iterable[Encoded], most: int, budget: int) -> Iterator[list[Encoded]]:
    batch: list[Encoded] = []
    # Longest first: the first batch is the largest, and memory that suffices then suffices.
    for prompt in sorted(prompts, key=lambda p: (-len(p.ids), p.index)):
        longest = len(batch[0].ids) if batch else len(prompt.ids)
        if batch and (len(batch) >= most or longest * (len(batch) + 1) > budget):
            yield batch
            batch = []
        batch.append(prompt)
    if batch:
        yield batch
