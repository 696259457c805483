"""The public names are exactly those that llem-core's page documents, and each can be had."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import llenergymeasure
import pytest

PAGE = Path(__file__).parents[3] / "packages" / "llem-core" / "README.md"


def documented() -> list[str]:
    """Names in the first column of the table under "Public names"."""
    section = PAGE.read_text(encoding="utf-8").split("## Public names", 1)[1]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def for_type_checkers() -> list[str]:
    """Names that a type checker sees the module import."""
    tree = ast.parse(Path(llenergymeasure.__file__).read_text(encoding="utf-8"))
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    return [
        alias.asname or alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


def test_the_documented_names_are_the_public_ones() -> None:
    names = documented()

    assert len(names) == len(set(names))
    assert sorted(names) == sorted(llenergymeasure.__all__)


def test_type_checkers_see_the_same_names() -> None:
    assert sorted(for_type_checkers()) == sorted(llenergymeasure.__all__)


@pytest.mark.parametrize("name", llenergymeasure.__all__)
def test_each_name_can_be_had(name: str) -> None:
    assert getattr(llenergymeasure, name) is not None


def test_the_packages_are_typed() -> None:
    folder = Path(llenergymeasure.__file__).parent

    assert (folder / "py.typed").exists()
    assert (folder.parent / "llem_core" / "py.typed").exists()
