"""Scales and data that several plots share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from llem_report.facts.entries import Entry
from llem_report.plots.theme import MOST_NAMED

Row = dict[str, Any]
"""One datum of a plot."""

_WIDEST = 3.0
_LOG_FROM = 12.0
"""An axis over values that differ by more than this factor is logarithmic."""

_ALIKE = 0.002
"""Values that differ by less than this share are drawn as one: nobody reads such ticks."""


def values(rows: Iterable[Row]) -> alt.InlineData:
    """Data that a chart carries in itself; as one text, which altair need not look into."""
    return alt.InlineData(values=json.dumps(list(rows)), format=alt.JsonDataFormat(type="json"))


@dataclass(frozen=True, slots=True)
class Span:
    """What an axis reaches over.

    Attributes:
        low, high: its ends.
        log: whether it is logarithmic.
    """

    low: float
    high: float
    log: bool

    def scale(self) -> alt.Scale:
        """The axis's scale; its ends are neither rounded nor below 0."""
        ends = [self.low, self.high]
        if self.log:
            return alt.Scale(type="log", domain=ends, nice=False)
        return alt.Scale(domain=ends, nice=False, zero=False)

    def clipped(self, value: float | None) -> float | None:
        """A value that lies beyond an end is drawn to that end."""
        return None if value is None else min(max(value, self.low), self.high)

    @property
    def remark(self) -> str:
        """What a caption has to say of it."""
        return " The axis is logarithmic." if self.log else ""


def span(found: Sequence[float], *, also: Sequence[float] = (), from_zero: bool = False) -> Span:
    """An axis over positive quantities.

    Args:
        found: the values.
        also: ends of intervals: an interval wider than three times the largest value does not
            stretch the axis.
        from_zero: whether it begins at 0 unless the values lie close together.
    """
    least, most = min(found), max(found)
    top = min(max([most, *also]), _WIDEST * most)
    if least > 0 and most > _LOG_FROM * least:
        bottom = min([least, *(value for value in also if value > least / _WIDEST)])
        return Span(bottom / 1.25, top * 1.25, log=True)
    bottom = max(0.0, min([least, *also]))
    if from_zero and bottom < 0.6 * top:
        return Span(0.0, 1.05 * top or 1.0, log=False)
    alike = top - bottom <= _ALIKE * top
    margin = (0.05 * top or 1.0) if alike else 0.12 * (top - bottom)
    return Span(max(0.0, bottom - margin), top + margin, log=False)


def estimated_word(entries: Iterable[Entry]) -> str:
    """What a title has to say of the energies in it."""
    words = {entry.estimated for entry in entries if entry.energy is not None}
    if words == {True}:
        return " (estimated)"
    return " (some estimated)" if True in words else ""


def short_names(names: Sequence[str]) -> list[str]:
    """The names as they fit beside an axis or into a legend, no two alike.

    The middle of a long one is left out: what tells it from others stands mostly at its end.
    """
    half = (MOST_NAMED - 1) // 2
    short = [n if len(n) <= MOST_NAMED else f"{n[:half]}…{n[-half:]}" for n in names]
    return [
        f"{name} ({number})" if short.count(name) > 1 else name
        for number, name in enumerate(short, start=1)
    ]
