"""Blocks as HTML for a notebook: no script, no style sheet, the colours of the page around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from llem_core.results.views.block import Block, Table
from llem_core.text import displayable, without_password

# Colours come from the notebook's own theme, so that both a dark and a light one can be read.
_RULE = "border-top:1px solid rgba(128,128,128,0.4)"
_CELL = "padding:0.1em 1em 0.1em 0;vertical-align:top;background:transparent;color:inherit"
_LEFT = f"{_CELL};text-align:left"
_RIGHT = f"{_CELL};text-align:right;font-variant-numeric:tabular-nums"


def as_html(blocks: Iterable[Block]) -> str:
    """All blocks that have anything to say; every text from a result is escaped."""
    parts = "".join("".join(_block(block)) for block in blocks if block)
    return f'<div style="color:inherit;background:transparent;max-width:60em">{parts}</div>'


def _block(block: Block) -> Iterator[str]:
    remark = f" &nbsp; {_text(block.remark)}" if block.remark else ""
    yield f'<p style="margin:0.8em 0 0.2em"><b>{_text(block.title)}</b>{remark}</p>'
    if block.rows:
        rows = "".join(
            f'<tr style="background:transparent"><th scope="row" style="{_LEFT};'
            f'font-weight:normal;opacity:0.75">{_text(label)}</th>'
            f'<td style="{_LEFT}">{_text(value)}</td></tr>'
            for label, value in block.rows
        )
        yield f'<table style="border-collapse:collapse;{_RULE}">{rows}</table>'
    if block.table is not None:
        yield _table(block.table)
    if block.items:
        items = "".join(f"<li>{_text(item)}</li>" for item in block.items)
        yield f'<ul style="margin:0.2em 0">{items}</ul>'


def _table(table: Table) -> str:
    titles = [
        _text(f"{column.title} ({column.above})" if column.above else column.title)
        for column in table.columns
    ]
    head = "".join(f'<th scope="col" style="{_RIGHT}">{title}</th>' for title in titles)
    head += f'<th scope="col" style="{_LEFT}">{_text(table.title)}</th>'
    rows: Sequence[Sequence[str]] = list(
        zip(*(column.cells for column in table.columns), strict=True)
    )
    body = "".join(
        f'<tr style="background:transparent;{_RULE}">'
        + "".join(f'<td style="{_RIGHT}">{_text(cell)}</td>' for cell in row)
        + f'<td style="{_LEFT}">{_text(label)}</td></tr>'
        for row, label in zip(rows, table.labels, strict=True)
    )
    return (
        f'<table style="border-collapse:collapse"><thead><tr style="background:transparent">{head}'
        f"</tr></thead><tbody>{body}</tbody></table>"
    )


def _text(text: str) -> str:
    return escape(displayable(without_password(text)))
