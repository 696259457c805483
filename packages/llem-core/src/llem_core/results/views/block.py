"""Facts of a result in blocks of labelled values, before anything decides how they look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures, which stand to the right.

    Attributes:
        title: its heading, with the unit.
        cells: one a row.
        above: a word over the heading, such as ``estimated``.
    """

    title: str
    cells: Sequence[str]
    above: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of figures, and what each row is of.

    Attributes:
        columns: the figures.
        title: heading of the labels, which stand last, as they may be long.
        labels: one a row.
    """

    columns: Sequence[Column]
    title: str
    labels: Sequence[str]


@dataclass(slots=True)
class Block:
    """A heading with rows of label and value, and items under them.

    Attributes:
        title: the heading.
        remark: what stands beside it.
        rows: label and value; a label that is empty goes on with the one above it.
        items: paragraphs, each with a dash before it.
        table: stands between rows and items.
    """

    title: str
    remark: str = ""
    rows: list[tuple[str, str]] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    table: Table | None = None

    def add(self, label: str, value: str | None) -> None:
        """Add a row; nothing for a value that is ``None``."""
        if value is not None:
            self.rows.append((label, value))

    def __bool__(self) -> bool:
        """Whether it has anything to say."""
        return bool(self.rows or self.items or self.table or self.remark)


def counted(n: int, noun: str) -> str:
    """A number with its noun, such as ``1 run`` or ``1,200 runs``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def rate(per_second: float) -> str:
    """A rate with three digits, or all of its whole ones."""
    return f"{per_second:,.0f}" if per_second >= 1000 else f"{per_second:.3g}"
