"""A heat map where two settings were swept against each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import altair as alt
from llem_core.units import common_prefix

from llem_report.facts.entries import Entry
from llem_report.plots.drawing import draw
from llem_report.plots.figure import Figure
from llem_report.plots.scales import Row, estimated_word, values
from llem_report.plots.theme import HIGH, LOW, WIDTH

_MOST_MAPS = 4
_MOST_VALUES = 20
_LEAST_FILLED = 0.5


def varying(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Settings that differ between configurations, with their values in their own order.

    Of settings that always change together the first one stands for all.
    """
    paths = dict.fromkeys(path for entry in entries for path in entry.settings)
    found: dict[str, list[str]] = {}
    seen: set[tuple[int, ...]] = set()
    for path in paths:
        column = [entry.settings.get(path, "null") for entry in entries]
        if len(set(column)) < 2:
            continue
        pattern = _pattern(column)
        if pattern not in seen:
            seen.add(pattern)
            found[path] = sorted(set(column), key=_order)
    return found


def heat_maps(entries: Sequence[Entry]) -> Iterator[Figure]:
    """One map for each source that swept two settings or more; of others one for each value."""
    of_source: dict[int, list[Entry]] = {}
    for entry in entries:
        if entry.energy is not None or entry.speed is not None:
            of_source.setdefault(id(entry.source), []).append(entry)
    numbers = itertools.count(1)
    for mine in of_source.values():
        found = varying(mine)
        swept = sorted(found, key=lambda path: -len(found[path]))
        if len(swept) < 2 or any(len(found[path]) > _MOST_VALUES for path in swept[:2]):
            continue
        columns, rows, *others = swept
        slices = _slices(mine, others)
        for label, part in itertools.islice(slices.items(), _MOST_MAPS):
            pairs = {(e.settings.get(columns), e.settings.get(rows)) for e in part}
            if len(pairs) < max(4, _LEAST_FILLED * len(found[columns]) * len(found[rows])):
                continue
            more = len(slices) - _MOST_MAPS
            note = f" {more} more values of the other settings are not drawn." if more > 0 else ""
            source = mine[0].source.name if len(of_source) > 1 else ""
            yield _figure(
                f"map-{next(numbers)}", part, (columns, rows), found, (label, note, source)
            )


def _slices(entries: Sequence[Entry], others: Sequence[str]) -> dict[str, list[Entry]]:
    parts: dict[str, list[Entry]] = {}
    for entry in entries:
        told = [f"{_short(path)}={entry.settings.get(path, 'null')}" for path in others]
        parts.setdefault(", ".join(told), []).append(entry)
    return parts


def _figure(
    name: str,
    entries: Sequence[Entry],
    axes: tuple[str, str],
    found: Mapping[str, Sequence[str]],
    told: tuple[str, str, str],
) -> Figure:
    columns, rows = axes
    label, note, source = told
    by_energy = any(entry.energy for entry in entries)
    word = estimated_word(entries) if by_energy else ""
    cells = [(e, s.mean) for e in entries if (s := e.energy if by_energy else e.speed)]
    factor, prefix = common_prefix(v for _, v in cells) if by_energy else (1.0, "")
    unit = f"{prefix}J per output token" if by_energy else "output tokens/s"
    data = [
        {
            "x": e.settings.get(columns, "null"),
            "y": e.settings.get(rows, "null"),
            "value": value / factor,
            "text": f"{value / factor:.3g}" if value / factor < 1000 else f"{value / factor:,.0f}",
        }
        for e, value in cells
    ]
    what = f"{'Energy per output token' if by_energy else 'Output tokens/s'}{word}"
    where = f" ({', '.join(filter(None, (source, label)))})" if source or label else ""
    better = "Less is better" if by_energy else "More is better"
    return Figure(
        name=name,
        title=f"{what} over {_short(columns)} and {_short(rows)}{where}",
        caption=f"{unit}{word}, means over cycles. {better}; an empty place has no result.{note}",
        svg=_drawn(name, data, axes, found),
        columns=[columns, rows, f"{'energy (J/token)' if by_energy else 'tokens/s'}{word}"],
        rows=[[e.settings.get(columns), e.settings.get(rows), value] for e, value in cells],
    )


def _drawn(
    name: str,
    data: Sequence[Row],
    axes: tuple[str, str],
    found: Mapping[str, Sequence[str]],
) -> str:
    columns, rows = axes
    x = alt.X(
        "x:N", title=columns, sort=list(found[columns]), axis=alt.Axis(labelAngle=0, labelLimit=80)
    )
    y = alt.Y("y:N", title=rows, sort=list(found[rows]), axis=alt.Axis(labelLimit=110))
    numbers = [float(str(row["value"])) for row in data]
    middle = (min(numbers) + max(numbers)) / 2
    base = alt.Chart(values(data)).encode(x=x, y=y)
    boxes = base.mark_rect().encode(
        color=alt.Color("value:Q", scale=alt.Scale(range=[LOW, HIGH]), legend=None)
    )
    size = 14 if len(found[columns]) <= 8 else 10
    bright = base.transform_filter(f"datum.value <= {middle!r}").mark_text(
        color="#101820", fontSize=size
    )
    dark = base.transform_filter(f"datum.value > {middle!r}").mark_text(
        color="#fdfefe", fontSize=size
    )
    sized = alt.layer(boxes, bright.encode(text="text:N"), dark.encode(text="text:N")).properties(
        width=WIDTH,
        height=alt.Step(34),
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    )
    return draw(sized, name)


def _pattern(column: Sequence[str]) -> tuple[int, ...]:
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(value, len(numbers)) for value in column)


def _order(value: str) -> tuple[int, float, str]:
    try:
        return (0, float(value), "")
    except ValueError:
        return (1, 0.0, value)


def _short(path: str) -> str:
    return path.rpartition(".")[2]
