"""Fails where a module or a function has grown beyond what one can read at once.

Modules: median 120 lines at the most, none above 400. Functions: nine of ten at most 30 lines,
none above 60. Run with ``python scripts/check_sizes.py``.
"""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path

MEDIAN_MODULE, LONGEST_MODULE = 120, 400
NINE_OF_TEN_FUNCTIONS, LONGEST_FUNCTION = 30, 60


def main() -> int:
    root = Path(__file__).parent.parent
    files = sorted((root / "packages").glob("*/src/**/*.py"))
    modules: list[int] = []
    functions: list[tuple[int, str]] = []
    problems: list[str] = []
    for file in files:
        text = file.read_text(encoding="utf-8")
        lines = text.count("\n")
        modules.append(lines)
        if lines > LONGEST_MODULE:
            problems.append(f"{file.relative_to(root)} has {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                functions.append((length, f"{file.relative_to(root)}:{node.lineno} {node.name}"))
    problems += [f"{name} has {n} lines" for n, name in functions if n > LONGEST_FUNCTION]
    median = statistics.median(modules)
    if median > MEDIAN_MODULE:
        problems.append(f"the median module has {median:.0f} lines")
    short = sum(n <= NINE_OF_TEN_FUNCTIONS for n, _ in functions) / len(functions)
    if short < 0.9:
        problems.append(
            f"only {short:.0%} of functions have {NINE_OF_TEN_FUNCTIONS} lines or fewer"
        )
    print(
        f"{len(modules)} modules, median {median:.0f} lines, longest {max(modules)}; "
        f"{len(functions)} functions, {short:.0%} within {NINE_OF_TEN_FUNCTIONS} lines, "
        f"longest {max(functions)[0]}"
    )
    for problem in problems:
        print(f"too long: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
