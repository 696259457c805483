"""Prompts for the warm-up: as long as the measured ones, and of other tokens.

An engine that keeps the prefixes of prompts that it has seen would get the prefill of a measured
prompt for nothing, had the warm-up run it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from llem_core.contracts.workload import Batch, Prompt
from llem_core.errors import BackendError

INDEX_OFFSET = 10**9
"""Added to the index of a measured prompt; backends seed synthetic tokens by the index."""

_ROUNDS = 4
_SHORTER = 0.8
_FILLER = ("one", "meter", "reads", "what", "nine", "others", "draw")

Prepare = Callable[[Sequence[Prompt]], Sequence[Batch]]


@dataclass(frozen=True, slots=True)
class Alike:
    """Batches of prompts that are like given ones.

    Attributes:
        batches: ready to run.
        input_tokens, wanted_tokens: tokens of all their prompts, and of those that they are like.
        how: how the prompts were made, for the record.
    """

    batches: Sequence[Batch]
    input_tokens: int
    wanted_tokens: int
    how: str


def prepare_alike(
    prepare: Prepare,
    prompts: Sequence[Prompt],
    counts: Mapping[int, int],
    measured: Collection[str],
    seed: int,
) -> Alike:
    """Make and prepare prompts like the given ones.

    A synthetic prompt has the same length under another index. A text has the same words, or
    characters where it has less than two different words, in another order; as many of them
    as come nearest to the length in tokens, which the backend counts.

    Args:
        prepare: tokenises prompts and makes batches of them.
        prompts: what they are to be like.
        counts: input tokens of those, by index.
        measured: texts that they must not have.
        seed: the same makes the same prompts.
    """
    wanted = {INDEX_OFFSET + index: counts[index] for index in (p.index for p in prompts)}
    drafts = [_Draft(prompt, measured, seed) for prompt in prompts]
    batches, got = _prepared(prepare, drafts)
    best = _distances(got, wanted), [draft.n_pieces for draft in drafts]
    for _ in range(_ROUNDS):
        if not any(draft.fit(got, wanted) for draft in drafts):
            break
        batches, got = _prepared(prepare, drafts)
        found = _distances(got, wanted)
        if found < best[0]:
            best = found, [draft.n_pieces for draft in drafts]
    if _distances(got, wanted) > best[0]:
        for draft, n_pieces in zip(drafts, best[1], strict=True):
            draft.n_pieces = n_pieces
        batches, got = _prepared(prepare, drafts)
    return Alike(batches, sum(got.values()), sum(wanted.values()), _how(prompts))


class _Draft:
    """A prompt in the making: its pieces in another order, as many as it takes."""

    def __init__(self, prompt: Prompt, measured: Collection[str], seed: int) -> None:
        self._prompt = prompt
        self._measured = measured
        self._joint, self._pieces = " ", (prompt.text or "").split()
        if len(set(self._pieces)) < 2:
            self._joint, self._pieces = "", list(prompt.text or "")
        if len(set(self._pieces)) < 2:
            self._joint, self._pieces = " ", list(_FILLER)
        self.n_pieces = len(self._pieces)
        first = self._pieces[0]
        random.Random(f"{seed}-{prompt.index}").shuffle(self._pieces)  # noqa: S311 - no secret
        # What an engine keeps of a prompt begins with its first token.
        turn = next(i for i, piece in enumerate(self._pieces) if piece != first)
        self._pieces = self._pieces[turn:] + self._pieces[:turn]

    def prompt(self) -> Prompt:
        index = INDEX_OFFSET + self._prompt.index
        if self._prompt.text is None:
            return replace(self._prompt, index=index)
        text, number = self._text(self._pieces), 0
        while text in self._measured:
            text, number = self._text([str(number), *self._pieces]), number + 1
        return replace(self._prompt, index=index, text=text)

    def fit(self, got: Mapping[int, int], wanted: Mapping[int, int]) -> bool:
        """Take as many pieces as the count of the last attempt suggests; whether that changes."""
        index = INDEX_OFFSET + self._prompt.index
        found, goal = got.get(index, 0), wanted[index]
        if self._prompt.text is None or found == goal or not found:
            return False
        likely = max(1, round(self.n_pieces * goal / found))
        if likely == self.n_pieces:
            likely += 1 if goal > found else -1
        changed, self.n_pieces = likely != self.n_pieces and likely > 0, max(1, likely)
        return changed

    def shorten(self) -> bool:
        """Drop a part of it; whether there was one to drop."""
        before, self.n_pieces = self.n_pieces, max(1, int(self.n_pieces * _SHORTER))
        return self._prompt.text is not None and self.n_pieces < before

    def _text(self, pieces: Sequence[str]) -> str:
        return self._joint.join(pieces[i % len(pieces)] for i in range(self.n_pieces))


def _prepared(prepare: Prepare, drafts: Sequence[_Draft]) -> tuple[Sequence[Batch], dict[int, int]]:
    """Batches of the drafts, and their input tokens by index.

    Words in another order may be some more tokens than an engine takes: then shorter ones.
    """
    for tries_left in reversed(range(_ROUNDS)):
        try:
            batches = prepare([draft.prompt() for draft in drafts])
            break
        except BackendError:
            shortened = [draft.shorten() for draft in drafts]
            if not tries_left or not any(shortened):
                raise
    counts = (zip(b.indices, b.input_tokens, strict=True) for b in batches)
    return batches, {index: count for batch in counts for index, count in batch}


def _distances(got: Mapping[int, int], wanted: Mapping[int, int]) -> int:
    return sum(abs(got.get(index, 0) - count) for index, count in wanted.items())


def _how(prompts: Sequence[Prompt]) -> str:
    if all(prompt.text is None for prompt in prompts):
        return "synthetic prompts of the measured lengths, from other seeds"
    return "texts of the measured prompts' words in another order, as near in length as they come"
