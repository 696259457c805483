"""Every heading of the troubleshooting page is a message that the source can still print."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.pages import ROOT, prose

PAGE = ROOT / "docs" / "troubleshooting.md"
HOLE = "…"
_MESSAGE = re.compile(r"^### `(?P<message>.+)`$")
MESSAGES = [found["message"] for _, line in prose(PAGE) if (found := _MESSAGE.match(line))]


@cache
def templates() -> frozenset[str]:
    """Every text of the packages' sources, with `…` for what is filled in."""
    found = set()
    for path in sorted((ROOT / "packages").glob("*/src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else HOLE for part in node.values
                ]
                found.add("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return frozenset(found)


def fits(message: str, template: str) -> bool:
    """Whether a template can have printed the message.

    A `…` of the message stands for anything; one at the template's ends may be left out.
    """
    parts = [re.escape(part) for part in message.split(HOLE)]
    return re.search(".*".join(parts).replace(r"\ ", " "), template, re.DOTALL) is not None


@pytest.mark.parametrize("message", MESSAGES)
def test_the_message_is_in_the_source(message: str) -> None:
    assert len(message.replace(HOLE, "").split()) >= 2, "too short to be told from others"
    assert any(fits(message, template) for template in templates()), (
        f"no source prints {message!r}: correct docs/troubleshooting.md"
    )


def test_a_message_that_nothing_prints_is_noticed() -> None:
    assert not any(fits("the moon is made of …", template) for template in templates())


def test_headings_below_a_section_are_messages() -> None:
    wrong = [
        line for _, line in prose(PAGE) if line.startswith("### ") and not _MESSAGE.match(line)
    ]
    assert not wrong
    assert len(MESSAGES) == len(set(MESSAGES)) >= 30
