"""How a figure stands in the page: the drawing, its files and its table."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from markupsafe import Markup

from llem_report.facts.parts import Table, clean
from llem_report.plots.figure import Cell, Figure
from llem_report.plots.theme import themed

MOST_ROWS = 150
"""Rows of a table in the page; the file beside it has all."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as the template wants it.

    Attributes:
        figure: the figure.
        svg: the drawing in the page's colours; it is shapes and text alone (``plots.drawing``).
        svg_url, csv_url: its files.
        table: what is behind it.
    """

    figure: Figure
    svg: Markup
    svg_url: str
    csv_url: str
    table: Table


def shown(figure: Figure) -> Shown:
    """Put together what belongs to one figure."""
    columns, rows = figure.shown or (figure.columns, figure.rows)
    return Shown(
        figure=figure,
        svg=Markup(themed(figure.svg)),  # noqa: S704 - cleaned of all but shapes and text
        svg_url=data_url("image/svg+xml", figure.svg),
        csv_url=data_url("text/csv", figure.csv()),
        table=Table(
            caption=_caption(len(rows)),
            columns=tuple(columns),
            rows=tuple(tuple(map(_text, row)) for row in rows[:MOST_ROWS]),
        ),
    )


def data_url(kind: str, content: str) -> str:
    """A file as an address that holds it."""
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(content.encode()).decode()}"


def _caption(n_rows: int) -> str:
    if n_rows <= MOST_ROWS:
        return "Data of the figure"
    return f"Data of the figure: the first {MOST_ROWS} of {n_rows:,} rows; the CSV has all"


def _text(cell: Cell) -> str:
    if cell is None:
        return "none"
    if isinstance(cell, float):
        return f"{cell:.5g}"
    return str(clean(cell))
