from __future__ import annotations

import json
from importlib.resources import files

from llem_core.measure.prompts.load import bundled_prompts

ROWS = [
    json.loads(line)
    for line in files("llem_core.measure.prompts")
    .joinpath("data/prompts.jsonl")
    .read_text()
    .splitlines()
]


def words(prompt: str) -> int:
    return len(prompt.split())


def test_there_are_enough_for_the_default_and_none_is_there_twice() -> None:
    prompts = bundled_prompts()
    assert len(prompts) >= 100
    assert len(set(prompts)) == len(prompts) == len(ROWS)
    assert all(set(row) == {"id", "task", "prompt"} for row in ROWS)


def test_they_are_of_several_kinds_and_lengths() -> None:
    assert len({row["task"] for row in ROWS}) >= 8
    lengths = [words(row["prompt"]) for row in ROWS]
    assert min(lengths) < 12
    assert max(lengths) > 400
    assert sum(length > 100 for length in lengths) >= 15


def test_any_beginning_has_a_spread() -> None:
    first = ROWS[:20]
    assert len({row["task"] for row in first}) >= 5
    assert min(words(row["prompt"]) for row in first) < 40
    assert max(words(row["prompt"]) for row in first) > 150
