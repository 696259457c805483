"""How latencies are distributed over the requests of runs, and how warm-ups settled."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import altair as alt
from llem_core.results.latency import percentile
from llem_core.units import common_prefix

from llem_report.plots.drawing import draw
from llem_report.plots.figure import Figure
from llem_report.plots.scales import short_names, span, values
from llem_report.plots.theme import SERIES, WIDTH
from llem_report.sources.detail import Detail

_SHOWN = (50, 90, 95, 99)
_DRAWN = (0, *range(1, 100), 99.5, 100)
_LEAST = 2
Samples = Callable[[Mapping[str, Any]], Iterable[float]]


def _first_token(request: Mapping[str, Any]) -> Iterable[float]:
    return [s] if (s := request["time_to_first_token_s"]) is not None else []


def _between(request: Mapping[str, Any]) -> Iterable[float]:
    times = request["token_times_s"] or ()
    return (later - earlier for earlier, later in itertools.pairwise(times))


def _whole(request: Mapping[str, Any]) -> Iterable[float]:
    return [request["ended_s"] - request["started_s"]]


_LATENCIES: tuple[tuple[str, str, str, Samples], ...] = (
    (
        "time-to-first-token",
        "Time to first token",
        "from the start of a request (under a load: from when it was due) to its first token",
        _first_token,
    ),
    ("inter-token-latency", "Inter-token latency", "between neighbouring tokens", _between),
    (
        "end-to-end-latency",
        "End-to-end latency",
        "from the start of a request (under a load: from when it was due) to its last token",
        _whole,
    ),
)


def distributions(details: Sequence[Detail]) -> Iterator[Figure]:
    """One figure a latency, with a curve for each run."""
    for name, title, meaning, samples in _LATENCIES:
        curves = {}
        for detail in details:
            found = sorted(s for request in detail.requests for s in samples(request))
            if len(found) >= _LEAST:
                curves[detail.name] = found
        if curves:
            yield _figure(name, title, meaning, curves)


def _figure(name: str, title: str, meaning: str, curves: Mapping[str, Sequence[float]]) -> Figure:
    points = [
        (run, share, percentile(ordered, share))
        for run, ordered in curves.items()
        for share in _DRAWN
    ]
    factor, prefix = common_prefix(percentile(ordered, 50) for ordered in curves.values())
    short = dict(zip(curves, short_names(list(curves)), strict=True))
    rows = [
        {"run": short[run], "share": share, "value": max(value_s / factor, 1e-6)}
        for run, share, value_s in points
    ]
    names = list(short.values())
    over = span([row["value"] for row in rows])
    color = alt.Color(
        "run:N",
        sort=names,
        title=None,
        scale=alt.Scale(domain=names, range=list(SERIES)),
        legend=alt.Legend(columns=1) if len(names) > 1 else None,
    )
    chart = (
        alt.Chart(values(rows))
        .mark_line()
        .encode(
            x=alt.X("value:Q", title=f"{title.lower()}, {prefix}s", scale=over.scale()),
            y=alt.Y("share:Q", title="samples up to this, %"),
            color=color,
        )
        .properties(
            width=WIDTH, height=190, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
        )
    )
    return Figure(
        name=name,
        title=title,
        caption=f"Distribution over the samples of one run each: {meaning}. "
        f"Failed requests are in none.{over.remark}",
        svg=draw(chart, name),
        columns=["configuration", "percentile (%)", f"{title.lower()} (s)"],
        rows=[list(point) for point in points],
        shown=(
            ["configuration", "samples", *(f"p{share} (s)" for share in _SHOWN)],
            [
                [run, len(ordered), *(percentile(ordered, share) for share in _SHOWN)]
                for run, ordered in curves.items()
            ],
        ),
    )


def warm_ups(details: Sequence[Detail]) -> Iterator[Figure]:
    """How the time a token settled in the warm-ups, where there were several batches."""
    curves = {}
    for detail in details:
        warmup = next((p.warmup for p in detail.result.processes if p.warmup), None)
        if warmup is not None and len(warmup.latency_per_token_s) > 1:
            curves[detail.name] = warmup.latency_per_token_s
    if not curves:
        return
    factor, prefix = common_prefix(min(curve) for curve in curves.values())
    short = dict(zip(curves, short_names(list(curves)), strict=True))
    rows = [
        {"run": short[run], "batch": number, "value": value_s / factor}
        for run, curve in curves.items()
        for number, value_s in enumerate(curve, start=1)
    ]
    names = list(short.values())
    chart = (
        alt.Chart(values(rows))
        .mark_line(point=alt.OverlayMarkDef(size=25))
        .encode(
            x=alt.X("batch:Q", title="warm-up batch", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("value:Q", title=f"{prefix}s per token"),
            color=alt.Color(
                "run:N",
                sort=names,
                title=None,
                scale=alt.Scale(domain=names, range=list(SERIES)),
                legend=alt.Legend(columns=1) if len(names) > 1 else None,
            ),
        )
        .properties(
            width=WIDTH, height=190, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
        )
    )
    yield Figure(
        name="warm-up",
        title="Warm-up",
        caption="Each batch of the warm-up over its longest output, in order; none of it is "
        "measured.",
        svg=draw(chart, "warm-up"),
        columns=["configuration", "batch", "time over its longest output (s/token)"],
        rows=[
            [run, number, value_s]
            for run, curve in curves.items()
            for number, value_s in enumerate(curve, start=1)
        ],
    )
