"""Scales and data that several plots share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt

from llem_report.facts.entries import Entry
from llem_report.plots.theme import MOST_NAMED

Row = dict[str, Any]
"""One datum of a plot."""

_WIDEST = 3.0


def values(rows: Iterable[Row]) -> alt.InlineData:
    """Data that a chart carries in itself."""
    return alt.InlineData(values=[dict(row) for row in rows])


def domain(rows: Sequence[Row]) -> tuple[float, float]:
    """From 0, or a little below the values where they lie close together, to a little above.

    An interval wider than three times the largest mean does not stretch the axis; energies and
    rates are never below 0.
    """
    means = [row["mean"] for row in rows]
    lows = [row["low"] for row in rows if row.get("low") is not None]
    highs = [row["high"] for row in rows if row.get("high") is not None]
    top = min(max([*means, *highs]), _WIDEST * max(means)) or 1.0
    bottom = max(0.0, min([*means, *lows]))
    if bottom < 0.6 * top:
        return 0.0, 1.05 * top
    margin = 0.15 * (top - bottom) or 0.05 * top
    return bottom - margin, top + margin


def estimated_word(entries: Iterable[Entry]) -> str:
    """What a title has to say of the energies in it."""
    words = {entry.estimated for entry in entries if entry.energy is not None}
    return {
        frozenset({True}): " (estimated)",
        frozenset({True, False}): " (some estimated)",
    }.get(frozenset(words), "")


def legend_name(name: str) -> str:
    """A name that fits into a legend; the middle of a long one is left out."""
    if len(name) <= MOST_NAMED:
        return name
    half = (MOST_NAMED - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
