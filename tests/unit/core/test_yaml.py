"""YAML from people: what is refused, with its line, and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from llem_core.config.yaml import parse_value, read_yaml
from llem_core.errors import ConfigError


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    return str(caught.value).removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: m\nn: 2001-99-99\n", "a.yaml:2:4: '2001-99-99' cannot be read: "),
        ("model: m\nn: !!int abc\n", "a.yaml:2:4: 'abc' cannot be read: "),
        ("model: m\nn: !!float abc\n", "a.yaml:2:4: 'abc' cannot be read: "),
        ("model: m\nn: !!bool abc\n", "a.yaml:2:4: 'abc' cannot be read: "),
        ("model: m\nn: !!timestamp abc\n", "a.yaml:2:4: 'abc' cannot be read: "),
        ("model: m\nn: !!int {a: 1}\n", "a.yaml:2:4: "),
        (f"model: m\nn: {'9' * 400}\n", "is too long"),
        (f"model: m\nn: {'9' * 5000}\n", "a.yaml:2:4: "),
        ("model: m\nn: 0x" + "f" * 500 + "\n", "is too long"),
        ("model: m\nn: " + "[" * 5000 + "\n", "a.yaml:2:103: it is nested too deeply"),
        ("model: m\non: 2\n", "a.yaml:2:1: the key 'on' is a truth value to YAML"),
        ("model: m\nlora: {on: 2}\n", "a.yaml:2:8: the key 'on' is a truth value to YAML"),
        ("model: m\n3: 2\n", "a.yaml:2:1: the key '3' is a number to YAML"),
        ("model: m\n~: 2\n", "a.yaml:2:1: the key '~' is no name to YAML"),
        ("model: m\n? [a]\n: 2\n", "a.yaml:2:3: a key must be a plain word"),
        ("model: m\nlora: {a: 1, b: 2, a: 3}\n", "a.yaml:2:20: the key 'a' stands here twice"),
        ('model: "\\ud800"\n', "a.yaml:1:8: a text has one half of a surrogate pair"),
        ("model: m\nn: \x00\n", "a.yaml:2: the character U+0000 cannot stand in YAML"),
        ("model: a\n---\nmodel: b\n", "a.yaml:2:1: "),
    ],
)
def test_what_cannot_be_a_value_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text)


@pytest.mark.parametrize("start", ["[x, x]", "{a: x, b: x}"])
def test_aliases_that_stand_for_too_much_are_refused_before_they_are_built(
    tmp_path: Path, start: str
) -> None:
    lines = [f"a0: &a0 {start}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert "its aliases stand for more than 1,000,000 values" in refusal(tmp_path, "\n".join(lines))


def test_merged_mappings_that_grow_are_refused_before_they_are_built(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 30)]
    assert "its aliases stand for more than" in refusal(tmp_path, "\n".join(lines))


def test_aliases_cannot_nest_deeper_than_what_is_written_out(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2000))]
    assert "nested too deeply" in refusal(tmp_path, "\n".join(lines))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", {"x": 1, "y": 3}),
        ("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}\n", {"x": 1, "y": 3}),
        ("a: {c: &c {x: 1}, d: &a {<<: *c, x: 2}}\nb: {<<: *a, y: 3}\n", {"x": 2, "y": 3}),
        ('b: "\\ud83d\\ude00"\n', "😀"),
        ("b: 1_000\n", 1000),
    ],
)
def test_what_yaml_allows_is_allowed(tmp_path: Path, text: str, value: Any) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert read_yaml(path).content["b"] == value


def test_a_value_of_the_command_line_is_refused_as_one_of_a_file_is() -> None:
    for text in ("[" * 5000, "2001-99-99", "9" * 5000):
        with pytest.raises(ConfigError, match=r"^--set a:1:\d+: "):
            parse_value(text, "--set a")


def test_lines_of_values_and_of_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("model: m\ndecoder:\n  top_k: 1\nlist:\n  - a\n  - b\n")
    document = read_yaml(path)
    assert document.place(("decoder", "top_k")) == f"{path}:3"
    assert document.place(("decoder", "top_p")) == f"{path}:2"
    assert document.place(("list", 1)) == f"{path}:6"
    assert document.place(("absent",)) == f"{path}:1"
