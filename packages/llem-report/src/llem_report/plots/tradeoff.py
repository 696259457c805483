"""Energy against speed and against latency, with the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import altair as alt
from llem_core.units import common_prefix

from llem_report.facts.entries import Entry
from llem_report.plots.drawing import draw
from llem_report.plots.figure import Figure
from llem_report.plots.scales import Row, estimated_word, span, values
from llem_report.plots.theme import MUTED, SERIES, WIDTH

_HEIGHT = 300
_MOST_NUMBERED = 25
_MOST_DRAWN = 1500


@dataclass(frozen=True, slots=True)
class _Axis:
    name: str
    title: str
    unit: str
    better: str
    value: Callable[[Entry], float | None]
    more_is_better: bool


def _speed(entry: Entry) -> float | None:
    return entry.speed.mean if entry.speed else None


_THROUGHPUT = _Axis(
    "energy-against-throughput", "throughput", "tokens/s", "to the right", _speed, True
)
_END_TO_END = _Axis(
    "energy-against-latency",
    "median end-to-end latency",
    "s",
    "to the left",
    lambda entry: entry.latency_s("end_to_end_latency", "p50_s"),
    False,
)
_FIRST_TOKEN = _Axis(
    "energy-against-first-token",
    "95th percentile of the time to first token",
    "s",
    "to the left",
    lambda entry: entry.latency_s("time_to_first_token", "p95_s"),
    False,
)


def tradeoffs(entries: Sequence[Entry]) -> Iterator[Figure]:
    """Energy against throughput and latency, where at least two configurations have both."""
    loaded = any(run.load_mode != "batch" for entry in entries for run in entry.runs[:1])
    for axis in (_THROUGHPUT, _FIRST_TOKEN if loaded else _END_TO_END):
        both = [e for e in entries if e.energy is not None and axis.value(e) is not None]
        if len(both) > 1:
            yield _figure(axis, both)


def front(points: Sequence[tuple[float, float]], *, more_is_better: bool) -> list[int]:
    """Which points no other one beats in both: less energy, and the better speed or latency.

    Args:
        points: speed or latency, and energy.
        more_is_better: whether it is a speed.

    Returns:
        Their positions, by energy.
    """
    sign = -1.0 if more_is_better else 1.0
    order = sorted(range(len(points)), key=lambda i: (points[i][1], sign * points[i][0]))
    best = float("inf")
    kept = []
    for i in order:
        cost = sign * points[i][0]
        if cost < best:
            best = cost
            kept.append(i)
    return kept


def _figure(axis: _Axis, entries: Sequence[Entry]) -> Figure:
    word = estimated_word(entries)
    factor, prefix = common_prefix(e.energy.mean for e in entries if e.energy)
    points = [(axis.value(e) or 0.0, e.energy.mean) for e in entries if e.energy]
    on_front = _on_front(entries, points, axis)
    numbered = len(entries) <= _MOST_NUMBERED
    step = -(-len(entries) // _MOST_DRAWN)
    rows = [
        {
            "x": x,
            "y": y / factor,
            "front": i in on_front,
            "mark": str(i + 1) if numbered or i in on_front else "",
            "hollow": entries[i].estimated,
        }
        for i, (x, y) in enumerate(points)
        if i in on_front or i % step == 0
    ]
    key = "Numbers are those of the rows in the data below."
    if not numbered:
        key = f"The {len(on_front)} on the front are numbered as the rows in the data below."
    left_out = ""
    if step > 1:
        left_out = f" Of those off the front one in {step} is drawn; all are in the CSV."
    hollow = " Hollow: estimated." if any(e.estimated for e in entries) else ""
    columns = [
        *("number", "configuration", f"{axis.title} ({axis.unit})"),
        *("energy per output token (J)", "on the front", "energy method"),
    ]
    data = [
        [
            *(i + 1, entry.name, points[i][0], points[i][1]),
            *("yes" if i in on_front else "no", entry.summary.energy_method),
        ]
        for i, entry in enumerate(entries)
    ]
    return Figure(
        name=axis.name,
        title=f"Energy per output token{word} against {axis.title}",
        caption="Means over cycles; better is down and "
        f"{axis.better}. The line is the Pareto front: no other configuration is better in both. "
        f"{key}{hollow}{left_out}",
        svg=_drawn(rows, f"{axis.title} ({axis.unit})", f"{prefix}J per output token{word}", axis),
        columns=columns,
        rows=data,
        shown=None if numbered else (columns, [data[i] for i in sorted(on_front)]),
        key=True,
    )


def _on_front(
    entries: Sequence[Entry], points: Sequence[tuple[float, float]], axis: _Axis
) -> set[int]:
    """An estimate keeps no measurement off the front, nor is it on one with measurements."""
    measured = [i for i, entry in enumerate(entries) if not entry.estimated]
    asked = measured or list(range(len(entries)))
    return {asked[i] for i in front([points[i] for i in asked], more_is_better=axis.more_is_better)}


def _drawn(rows: Sequence[Row], x_title: str, y_title: str, axis: _Axis) -> str:
    x = alt.X("x:Q", title=x_title, scale=span([row["x"] for row in rows]).scale())
    y = alt.Y("y:Q", title=y_title, scale=span([row["y"] for row in rows]).scale())
    base = alt.Chart(values(rows)).encode(x=x, y=y)
    step: Literal["step-before", "step-after"] = (
        "step-before" if axis.more_is_better else "step-after"
    )
    line = base.transform_filter("datum.front").mark_line(
        interpolate=step, color=MUTED, strokeDash=[4, 3], strokeWidth=1.2
    )
    plain = base.transform_filter("!datum.hollow")
    guessed = base.transform_filter("datum.hollow")
    size = 60 if len(rows) <= _MOST_NUMBERED else 22
    layers = [
        line,
        plain.transform_filter("!datum.front").mark_point(
            filled=True, opacity=0.55, size=size, color=SERIES[0]
        ),
        plain.transform_filter("datum.front").mark_point(
            filled=True, opacity=1, size=size + 25, color=SERIES[1]
        ),
        guessed.transform_filter("!datum.front").mark_point(
            filled=False, strokeWidth=1.6, size=size, color=SERIES[0]
        ),
        guessed.transform_filter("datum.front").mark_point(
            filled=False, strokeWidth=2, size=size + 25, color=SERIES[1]
        ),
        base.mark_text(dx=8, dy=-8, align="left", fontSize=13).encode(text="mark:N"),
    ]
    sized = alt.layer(*layers).properties(
        width=WIDTH,
        height=_HEIGHT,
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
    )
    return draw(sized, axis.name)
