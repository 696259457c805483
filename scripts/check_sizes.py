"""Fails where a module, a function or a folder has grown beyond what one can read at once.

Modules: median 120 lines at the most, none above 400. Functions: nine of ten at most 30 lines,
none above 60. Folders: at most 14 modules, ``__init__.py`` not counted. Modules that import each
other in a circle are one module in pieces, and fail as well; imports in function bodies count.
Run with ``python scripts/check_sizes.py``.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MEDIAN_MODULE, LONGEST_MODULE = 120, 400
NINE_OF_TEN_FUNCTIONS, LONGEST_FUNCTION = 30, 60
MOST_MODULES_IN_A_FOLDER = 14


@dataclass
class Found:
    """What the sources have.

    Attributes:
        n_lines: lines of each file.
        functions: length of each function, and its name with the place.
        imports: for each module, the modules of the same package that it imports.
    """

    n_lines: dict[Path, int] = field(default_factory=dict)
    functions: list[tuple[int, str]] = field(default_factory=list)
    imports: dict[str, set[str]] = field(default_factory=dict)


def main(root: Path) -> int:
    """Check all packages below ``root``; gives the exit code."""
    found = read(root)
    lengths, functions = list(found.n_lines.values()), found.functions
    median = statistics.median(lengths)
    short = sum(n <= NINE_OF_TEN_FUNCTIONS for n, _ in functions) / len(functions)
    problems = [
        *(
            f"{f.relative_to(root)} has {n} lines"
            for f, n in found.n_lines.items()
            if n > LONGEST_MODULE
        ),
        *(f"{name} has {n} lines" for n, name in functions if n > LONGEST_FUNCTION),
        *_full_folders(root, found.n_lines),
        *_circles(found.imports),
    ]
    if median > MEDIAN_MODULE:
        problems.append(f"the median module has {median:.0f} lines")
    if short < 0.9:
        problems.append(
            f"only {short:.0%} of functions have {NINE_OF_TEN_FUNCTIONS} lines or fewer"
        )
    print(
        f"{len(lengths)} modules, median {median:.0f} lines, longest {max(lengths)}; "
        f"{len(functions)} functions, {short:.0%} within {NINE_OF_TEN_FUNCTIONS} lines, "
        f"longest {max(functions)[0]}"
    )
    for problem in problems:
        print(f"too much: {problem}")
    return 1 if problems else 0


def read(root: Path) -> Found:
    """Read every module below ``packages/*/src``."""
    found = Found()
    sources = {
        _module(file, src): file
        for src in sorted((root / "packages").glob("*/src"))
        for file in sorted(src.rglob("*.py"))
    }
    for module, file in sources.items():
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
        found.n_lines[file] = text.count("\n")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                place = f"{file.relative_to(root)}:{node.lineno} {node.name}"
                found.functions.append((length, place))
        package = module.partition(".")[0]
        names = {name for name in _imported(tree, sources) if name.partition(".")[0] == package}
        found.imports[module] = names - {module}
    return found


def _module(file: Path, src: Path) -> str:
    parts = file.relative_to(src).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.Module, modules: Iterable[str]) -> set[str]:
    """The modules that a module imports when it runs; those for type checkers alone are not."""
    names: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in modules else node.module)
        waiting.extend(ast.iter_child_nodes(node))
    return names


def _full_folders(root: Path, files: Iterable[Path]) -> list[str]:
    counts: dict[Path, int] = {}
    for file in files:
        if file.name != "__init__.py":
            counts[file.parent] = counts.get(file.parent, 0) + 1
    return [
        f"{folder.relative_to(root)} has {n} modules"
        for folder, n in counts.items()
        if n > MOST_MODULES_IN_A_FOLDER
    ]


def _circles(imports: Mapping[str, set[str]]) -> list[str]:
    """A sentence for each set of modules of which every one leads to every other."""
    reached = {module: _reach(module, imports) for module in imports}
    circles = {
        tuple(sorted(other for other in reached[module] if module in reached[other]))
        for module in imports
        if module in reached[module]
    }
    return [f"a circle of imports: {', '.join(circle)}" for circle in sorted(circles)]


def _reach(module: str, imports: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(imports[module])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(imports.get(name, ()))
    return seen


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent.parent))
