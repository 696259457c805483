"""Blocks of aligned plain text that read well without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from llem_cli.show.output import width

_LABEL_COLUMNS = 22
_INDENT = "  "


@dataclass(slots=True)
class Block:
    """A heading with rows of label and value, and items under them.

    Attributes:
        title: the heading.
        remark: what stands beside it.
        rows: label and value.
        items: paragraphs, each with a dash before it.
        table: lines that are aligned already; they stand between rows and items.
    """

    title: str
    remark: str = ""
    rows: list[tuple[str, str]] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    table: list[str] = field(default_factory=list)

    def add(self, label: str, value: str | None) -> None:
        """Add a row; nothing for a value that is ``None``."""
        if value is not None:
            self.rows.append((label, value))

    def lines(self) -> list[str]:
        """The block's lines, wrapped to the terminal."""
        heading = f"{self.title:<{len(_INDENT) + _LABEL_COLUMNS}}{self.remark}".rstrip()
        lines = wrap(heading, "", " " * (len(_INDENT) + _LABEL_COLUMNS))
        for label, value in self.rows:
            first = f"{_INDENT}{label:<{_LABEL_COLUMNS - 1}} "
            lines += wrap(value, first, " " * (len(_INDENT) + _LABEL_COLUMNS))
        lines += self.table
        for item in self.items:
            lines += wrap(item, f"{_INDENT}- ", f"{_INDENT}  ")
        return lines


def render(blocks: Sequence[Block]) -> str:
    """All blocks that have anything to say, an empty line between them."""
    told = [block for block in blocks if block.rows or block.items or block.table or block.remark]
    return "\n\n".join("\n".join(block.lines()) for block in told)


def counted(n: int, noun: str) -> str:
    """A number with its noun, such as ``1 run`` or ``1,200 runs``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def rate(per_second: float) -> str:
    """A rate with three digits, or all of its whole ones."""
    return f"{per_second:,.0f}" if per_second >= 1000 else f"{per_second:.3g}"


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
