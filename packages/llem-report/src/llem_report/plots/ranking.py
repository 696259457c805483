"""Energy per output token, and speed, by configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt
from llem_core.results.study import CycleStatistics
from llem_core.units import common_prefix

from llem_report.facts.entries import Entry
from llem_report.plots.drawing import draw
from llem_report.plots.figure import Figure
from llem_report.plots.scales import Row, Span, estimated_word, short_names, span, values
from llem_report.plots.theme import SERIES, WIDTH

MOST_DRAWN = 40
_ROW = 26
TIE = "≈"


def ranking(entries: Sequence[Entry]) -> Iterator[Figure]:
    """Energy by configuration where there is any, and speed."""
    with_energy = [entry for entry in entries if entry.energy is not None]
    if with_energy:
        yield _energy(with_energy)
    by_speed = [entry for entry in entries if entry.speed is not None]
    if by_speed:
        yield _speed(sorted(by_speed, key=lambda entry: -_mean(entry.speed)))


def _energy(entries: Sequence[Entry]) -> Figure:
    word = estimated_word(entries)
    factor, prefix = common_prefix(_mean(entry.energy) for entry in entries)
    unit = f"{prefix}J"
    ties = any(map(_tied, entries))
    caption = (
        f"Gross energy per output token{word}: mean over cycles and its 95 % interval; less is "
        "better. A configuration with one cycle has no interval."
    )
    if ties:
        caption += f" {TIE}: cannot be told apart from the one ranked just above it in its study."
    if any(entry.estimated for entry in entries):
        caption += " Hollow: estimated by a model of the hardware, no ground for a comparison."
    drawn = entries[:MOST_DRAWN]
    rows = [
        {
            **_row(entry.energy, factor),
            "name": f"{TIE} {name}" if _tied(entry) else name,
            "hollow": entry.estimated,
        }
        for entry, name in zip(drawn, _names(drawn), strict=True)
    ]
    return Figure(
        name="energy-by-configuration",
        title=f"Energy per output token by configuration{word}",
        caption=caption + _left_out(len(entries), "lowest") + _span(rows).remark,
        svg=_drawn(rows, f"{unit} per output token{word}", "energy-by-configuration"),
        columns=[
            *("configuration", "rank in its study", "mean (J/token)", "interval low (J/token)"),
            *("interval high (J/token)", "cycles", "method", "told apart from the one above"),
        ],
        rows=[_energy_data(entry) for entry in entries],
    )


def _energy_data(entry: Entry) -> list[str | float | int | None]:
    energy, summary = entry.energy, entry.summary
    assert energy is not None
    tied = summary.indistinguishable_from_previous
    told = "unknown" if tied is None else "no" if tied else "yes"
    return [
        *(entry.name, summary.rank, energy.mean, energy.interval_low, energy.interval_high),
        *(energy.n, summary.energy_method, "first" if summary.rank == 1 else told),
    ]


def _speed(entries: Sequence[Entry]) -> Figure:
    drawn = entries[:MOST_DRAWN]
    rows = [
        {**_row(entry.speed, 1.0), "name": name, "hollow": False}
        for entry, name in zip(drawn, _names(drawn), strict=True)
    ]
    return Figure(
        name="speed-by-configuration",
        title="Output tokens per second by configuration",
        caption="Output tokens over the measured window: mean over cycles and its 95 % interval; "
        f"more is better.{_left_out(len(entries), 'fastest')}{_span(rows).remark}",
        svg=_drawn(rows, "output tokens/s", "speed-by-configuration"),
        columns=[
            *("configuration", "mean (tokens/s)", "interval low (tokens/s)"),
            *("interval high (tokens/s)", "cycles"),
        ],
        rows=[
            [entry.name, s.mean, s.interval_low, s.interval_high, s.n]
            for entry in entries
            if (s := entry.speed)
        ],
    )


def _row(statistics: CycleStatistics | None, factor: float) -> Row:
    assert statistics is not None
    low, high = statistics.interval_low, statistics.interval_high
    return {
        "mean": statistics.mean / factor,
        "low": None if low is None else low / factor,
        "high": None if high is None else high / factor,
    }


def _names(entries: Sequence[Entry]) -> list[str]:
    return short_names([entry.name for entry in entries])


def _tied(entry: Entry) -> bool:
    return bool(entry.summary.indistinguishable_from_previous)


def _span(rows: Sequence[Row]) -> Span:
    ends = [row[key] for row in rows for key in ("low", "high") if row[key] is not None]
    return span([row["mean"] for row in rows], also=ends, from_zero=True)


def _drawn(rows: Sequence[Row], title: str, name: str) -> str:
    over = _span(rows)
    clipped = [{**row, **{key: over.clipped(row[key]) for key in ("low", "high")}} for row in rows]
    order = [row["name"] for row in rows]
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False))
    x = alt.X("mean:Q", title=title, scale=over.scale())
    base = alt.Chart(values(clipped)).encode(y=y)
    solid = base.mark_point(filled=True, size=42, opacity=1, color=SERIES[0]).encode(x=x)
    hollow = base.mark_point(filled=False, size=55, strokeWidth=2, color=SERIES[1]).encode(x=x)
    ends = [
        base.mark_tick(thickness=2, size=11, color=SERIES[0]).encode(x=f"{key}:Q")
        for key in ("low", "high")
    ]
    layers = alt.layer(
        base.mark_rule(strokeWidth=2, color=SERIES[0]).encode(x="low:Q", x2="high:Q"),
        *ends,
        solid.transform_filter("!datum.hollow"),
        hollow.transform_filter("datum.hollow"),
    )
    sized = layers.properties(
        width=WIDTH,
        height=alt.Step(_ROW),
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    )
    return draw(sized, name)


def _left_out(n: int, which: str) -> str:
    if n <= MOST_DRAWN:
        return ""
    return f" The {MOST_DRAWN} {which} of {n} are drawn; all are in the data."


def _mean(statistics: CycleStatistics | None) -> float:
    return statistics.mean if statistics else 0.0
