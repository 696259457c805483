"""A plot of the report, and what stands beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | float | int | None

_ACTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot and the data that it was drawn from.

    Attributes:
        name: of its files, unique in the report.
        title: what it shows, as a heading.
        caption: how it is to be read.
        svg: the drawing, in the colours of paper.
        columns: names of the data's columns, with their units.
        rows: the data.
        shown: columns and rows of the table in the page, where all of the data would be too much.
        key: whether the drawing cannot be read without that table, which is then printed too.
    """

    name: str
    title: str
    caption: str
    svg: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    shown: tuple[Sequence[str], Sequence[Sequence[Cell]]] | None = None
    key: bool = False

    def csv(self) -> str:
        """The data as CSV. No text in it is taken for a formula by a spreadsheet."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_harmless(cell) for cell in row] for row in self.rows)
        return buffer.getvalue()


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_ACTS) else cell
