"""What is watched over: a toy generator that streams words. Put your own in its place."""

from __future__ import annotations

import random
from collections.abc import Iterator

TEXT = (
    "a meter in the mains lead sees the whole machine and a counter on the board sees the board "
    "so a figure without its scope says little and a figure without its uncertainty says less "
)
CONTEXT, WORDS, DRAWS = 2, 48, 400

PROMPTS = (
    "a meter",
    "the board sees",
    "a figure without",
    "in the mains lead",
    "the whole machine",
    "so a figure",
)


def generate(prompt: str) -> Iterator[str]:
    """Stream words that follow the last ones as in ``TEXT``, the likeliest of many draws."""
    words = TEXT.split()
    history = prompt.split()
    dice = random.Random(prompt)  # noqa: S311 - no secret
    for _ in range(WORDS):
        tail = history[-CONTEXT:]
        follow = [
            words[i + len(tail)]
            for i in range(len(words) - len(tail))
            if words[i : i + len(tail)] == tail
        ]
        drawn = dice.choices(follow or words, k=DRAWS)
        history.append(max(sorted(set(drawn)), key=drawn.count))
        yield history[-1] + " "


def count_words(text: str) -> int:
    """Tokens of a text: words, for this generator."""
    return len(text.split())
