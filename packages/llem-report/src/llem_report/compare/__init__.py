"""Compares two sets of results: how far they differ, how sure that is, and whether it is a loss."""

from llem_report.compare.baseline import save_baseline
from llem_report.compare.compare import Comparison, Question, compare
from llem_report.compare.read import read_side
from llem_report.compare.show import as_blocks, as_json, as_markdown
from llem_report.compare.side import Side

__all__ = [
    "Comparison",
    "Question",
    "Side",
    "as_blocks",
    "as_json",
    "as_markdown",
    "compare",
    "read_side",
    "save_baseline",
]
