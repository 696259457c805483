"""llem-vllm is outside of the workspace, where import-linter does not see it: the same contract."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCES = sorted((Path(__file__).parents[3] / "packages/llem-vllm/src").rglob("*.py"))
ALLOWED = {"contracts", "errors", "units", "meters", "models", "processes"}
LIGHT = {"hooks", "config", "fields", "audit", "check", "requirements", "arguments", "__init__"}


def imported(path: Path, *, at_the_top: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if at_the_top else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_it_sees_the_contracts_and_no_other_plugin() -> None:
    assert SOURCES
    for path in SOURCES:
        for name in imported(path):
            top, *rest = name.split(".")
            if not top.startswith("lle"):
                continue
            assert top in {"llem_core", "llem_vllm"}, (path, top)
            assert top == "llem_vllm" or rest[0] in ALLOWED, (path, rest)


def test_what_is_read_before_loading_imports_no_engine() -> None:
    light = [path for path in SOURCES if path.stem in LIGHT and path.parent.name == "llem_vllm"]
    assert {path.stem for path in light} == LIGHT
    for path in light:
        heavy = {name.split(".")[0] for name in imported(path, at_the_top=True)}
        assert not heavy & {"vllm", "torch", "transformers"}, path
