"""The drawings of the architecture page name what exists, and its layers are the checked ones."""

from __future__ import annotations

import ast
import configparser

import pytest

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "architecture.md"
WALKS = [block for block in blocks(PAGE) if block.comment == "walk"]
STATIONS = [tuple(line.split()[:2]) for walk in WALKS for line in walk.text.splitlines()]


def names_in(path: str) -> set[str]:
    """Classes, functions and annotated fields that a module of the packages defines."""
    (file,) = ROOT.glob(f"packages/*/src/{path}")
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def test_there_are_two_walks() -> None:
    assert len(WALKS) == 2


@pytest.mark.parametrize(("path", "name"), STATIONS)
def test_a_station_of_a_walk_exists(path: str, name: str) -> None:
    assert name in names_in(path)


def test_a_name_that_is_gone_is_noticed() -> None:
    assert "Choice" not in names_in("llem_core/measure/energy/select.py")


def test_the_layers_are_those_that_are_checked() -> None:
    (drawn,) = [block.text.splitlines() for block in blocks(PAGE) if block.comment == "layers"]
    checked = configparser.ConfigParser()
    checked.read(ROOT / ".importlinter", encoding="utf-8")
    layers = checked["importlinter:contract:layers"]["layers"].split("\n")
    assert drawn == [line.replace("llem_core.", "") for line in layers if line]
