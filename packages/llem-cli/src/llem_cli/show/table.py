"""Blocks of aligned plain text that read well without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from llem_core.results.views.block import Block, Table

from llem_cli.show.live import displayed, one_line
from llem_cli.show.output import width

_LABEL_COLUMNS = 22
_INDENT = "  "
_BETWEEN = "  "
_LEAST_LABEL_COLUMNS = 24


def render(blocks: Sequence[Block]) -> str:
    """All blocks that have anything to say, an empty line between them."""
    return "\n\n".join("\n".join(_lines(block)) for block in blocks if block)


def _lines(block: Block) -> list[str]:
    """The block's lines, wrapped to the terminal."""
    heading = f"{block.title:<{len(_INDENT) + _LABEL_COLUMNS}}{block.remark}".rstrip()
    lines = wrap(heading, "", " " * (len(_INDENT) + _LABEL_COLUMNS))
    for label, value in block.rows:
        first = f"{_INDENT}{label:<{_LABEL_COLUMNS - 1}} "
        lines += wrap(value, first, " " * (len(_INDENT) + _LABEL_COLUMNS))
    if block.table is not None:
        lines += aligned(block.table)
    for item in block.items:
        lines += wrap(item, f"{_INDENT}- ", f"{_INDENT}  ")
    return lines


def aligned(table: Table) -> list[str]:
    """The table's lines: figures to the right of their columns, then the labels."""
    titled = any(column.above for column in table.columns)
    cells = [
        [*([column.above] if titled else []), column.title, *column.cells]
        for column in table.columns
    ]
    widths = [max(map(displayed, column)) for column in cells]
    labels = [*([""] if titled else []), table.title, *map(one_line, table.labels)]
    start = len(_INDENT) + sum(widths) + len(_BETWEEN) * len(widths)
    beside = width() - start >= _room_wanted(labels)
    lines: list[str] = []
    for label, *row in zip(labels, *cells, strict=True):
        facts = _BETWEEN.join(
            " " * (size - displayed(cell)) + cell for cell, size in zip(row, widths, strict=True)
        )
        lines += _with_label(_INDENT + facts, label, beside)
    return lines


def _room_wanted(labels: Sequence[str]) -> int:
    """Columns that what varies needs to stand beside the figures, wrapped if need be."""
    whole = max(map(displayed, labels))
    longest_word = max(displayed(word) for label in labels for word in label.split(" "))
    return min(whole, max(longest_word, _LEAST_LABEL_COLUMNS))


def _with_label(facts: str, label: str, beside: bool) -> list[str]:
    """What varies stands last, as it may be long; below, where it has too little room."""
    if not label:
        return [facts.rstrip()]
    if beside:
        return wrap(label, facts + _BETWEEN, " " * (displayed(facts) + len(_BETWEEN)))
    return [facts.rstrip(), *wrap(label, " " * 8, " " * 8)]


def wrap(text: str, first: str, other: str) -> list[str]:
    """Lines of at most the terminal's width; words are never broken."""
    wrapped = textwrap.wrap(
        text,
        width(),
        initial_indent=first,
        subsequent_indent=other,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapped or [first.rstrip()]
