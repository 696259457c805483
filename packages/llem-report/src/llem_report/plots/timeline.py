"""Power, temperature and clocks of one run over time, and the load on its engine."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import altair as alt

from llem_report.plots.drawing import draw
from llem_report.plots.figure import Figure
from llem_report.plots.scales import short_names, values
from llem_report.plots.theme import BAND, MUTED, SERIES
from llem_report.sources.detail import Detail

_MOST_POINTS = 240
_PANEL_WIDTH = 430
_LOAD = "load"
_WINDOW = "measure"
Row = Mapping[str, Any]

_PANELS = (
    ("power_w", "power, W", 1.0, 130),
    ("temperature_c", "temperature, °C", 1.0, 80),
    ("sm_clock_hz", "clock, MHz", 1e-6, 80),
)


def timelines(details: Sequence[Detail]) -> Iterator[Figure]:
    """For each run its power over time, and its load where it had one."""
    for number, detail in enumerate(details, start=1):
        power = _power(detail, number)
        if power is not None:
            yield power
        served = _served(detail, number)
        if served is not None:
            yield served


def _power(detail: Detail, number: int) -> Figure | None:
    rows = [row for row in detail.timeseries if row["device"] != _LOAD]
    if not any(row["power_w"] is not None for row in rows):
        return None
    name = f"power-{number}"
    spans = _phases(rows)
    devices = list(dict.fromkeys(str(row["device"]) for row in rows))
    shown = _device_names(detail, devices)
    thinned = [
        {**point, "device": shown[device]}
        for device in devices
        for point in _thinned([row for row in rows if row["device"] == device])
    ]
    used = set(detail.result.energy_scope)
    word = " (estimated)" if detail.run.estimated else ""
    panels = [
        _panel(
            thinned,
            spans,
            key,
            f"{title}{word if key == 'power_w' else ''}",
            factor,
            height,
            named=key == "power_w",
        )
        for key, title, factor, height in _PANELS
        if any(point[key] is not None for point in thinned)
    ]
    chart = alt.vconcat(_strip(spans), *panels, spacing=8).resolve_scale(color="independent")
    most = max(point["n"] for point in thinned)
    means = f" Each point is the mean of up to {most} samples." if most > 1 else ""
    outside = [shown[device] for device in devices if device not in used]
    other = f" Not in the run's energy: {', '.join(outside)}." if outside and used else ""
    throttled = sorted({r for row in rows for r in row["throttle_reasons"] or ()})
    reasons = f" Clocks were lowered at times by: {', '.join(throttled)}." if throttled else ""
    return Figure(
        name=name,
        title=f"Power over time{word}: {detail.name}",
        caption="Samples of one run, from its start; the shaded part is the measured window, the "
        f"strip on top the steps of the experiment.{means}{other}{reasons}",
        svg=draw(chart, name),
        columns=[
            *("time (s)", "device", "phase", f"power{word} (W)", "temperature (°C)"),
            *("clock (Hz)", "samples"),
        ],
        rows=[
            [
                *(p["time_s"], p["device"], p["phase"], p["power_w"], p["temperature_c"]),
                *(p["sm_clock_hz"], p["n"]),
            ]
            for p in thinned
        ],
    )


def _device_names(detail: Detail, devices: Iterable[str]) -> dict[str, str]:
    """Product names of devices, numbered where several have one name."""
    breakdown = detail.result.energy_breakdown
    labels = {d.name: d.label for d in breakdown.domains if d.label} if breakdown else {}
    found = list(devices)
    return dict(zip(found, short_names([labels.get(d, d) for d in found]), strict=True))


def _phases(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Steps of the experiment as intervals; one ends where the next one's first sample is."""
    spans: list[dict[str, Any]] = []
    for row in rows:
        if not spans or spans[-1]["phase"] != row["phase"]:
            if spans:
                spans[-1]["end"] = row["time_s"]
            spans.append({"phase": str(row["phase"]), "start": row["time_s"]})
    if spans:
        spans[-1]["end"] = rows[-1]["time_s"]
    return spans


def _thinned(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Means of samples that follow each other within one step of the experiment."""
    size = max(1, -(-len(rows) // _MOST_POINTS))
    for _, steps in itertools.groupby(rows, key=lambda row: row["phase"]):
        for part in _parts(list(steps), size):
            yield {
                "time_s": statistics.fmean(row["time_s"] for row in part),
                "phase": part[0]["phase"],
                "n": len(part),
                **{key: _mean(row[key] for row in part) for key, *_ in _PANELS},
            }


def _parts(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _mean(found: Iterable[float | None]) -> float | None:
    known = [value for value in found if value is not None]
    return statistics.fmean(known) if known else None


def _time_axis(spans: Sequence[Row], title: str | None = None) -> Any:
    ends = [spans[0]["start"], spans[-1]["end"]]
    scale = alt.Scale(domain=ends, nice=False)
    return alt.X("time:Q", title=title, scale=scale, axis=alt.Axis(grid=False))


def _strip(spans: Sequence[Row]) -> Any:
    """A bar of the steps of the experiment, with a legend."""
    rows = [
        {"time": s["start"], "end": s["end"], "phase": s["phase"].replace("_", " ")} for s in spans
    ]
    names = list(dict.fromkeys(row["phase"] for row in rows))
    color = alt.Color(
        "phase:N",
        sort=names,
        title=None,
        scale=alt.Scale(domain=names, range=[*SERIES, MUTED, "#9aa4b0"]),
        legend=alt.Legend(orient="top", columns=4, symbolType="square"),
    )
    x = _time_axis(spans).axis(None)
    return (
        alt.Chart(values(rows))
        .mark_rect(opacity=1)
        .encode(x=x, x2="end:Q", color=color)
        .properties(width=_PANEL_WIDTH, height=10)
    )


def _panel(
    rows: Sequence[Row],
    spans: Sequence[Row],
    key: str,
    title: str,
    factor: float,
    height: int,
    series: str = "device",
    *,
    named: bool = True,
) -> Any:
    names = list(dict.fromkeys(str(row[series]) for row in rows if row[key] is not None))
    points = [
        {"time": row["time_s"], "value": row[key] * factor, "series": row[series]}
        for row in rows
        if row[key] is not None
    ]
    window = [s for s in spans if s["phase"] == _WINDOW]
    edges = [{"time": window[0]["start"], "end": window[-1]["end"]}] if window else []
    legend = alt.Legend(orient="top", columns=2) if named and len(names) > 1 else None
    color = alt.Color(
        "series:N",
        sort=names,
        title=None,
        scale=alt.Scale(domain=names, range=list(SERIES)),
        legend=legend,
    )
    y = alt.Y(
        "value:Q",
        title=title,
        scale=alt.Scale(zero=key != "temperature_c", nice=True),
        axis=alt.Axis(minExtent=44, tickCount=4, titlePadding=6),
    )
    x = _time_axis(spans, "time from the start of the experiment, s")
    return alt.layer(
        alt.Chart(values(edges)).mark_rect(color=BAND, opacity=1).encode(x=x, x2="end:Q"),
        alt.Chart(values(points)).mark_line(strokeWidth=1.4).encode(x=x, y=y, color=color),
    ).properties(width=_PANEL_WIDTH, height=height)


def _served(detail: Detail, number: int) -> Figure | None:
    rows = [row for row in detail.timeseries if row["device"] == _LOAD]
    if len(rows) < 2:
        return None
    name = f"load-{number}"
    spans = _phases(rows)
    points = [
        {"time_s": row["time_s"], "series": label, "value": row[key], "rate": None}
        for row in rows
        for key, label in (("requests_in_flight", "in flight"), ("requests_waiting", "waiting"))
    ]
    tokens = [{**row, "series": "tokens"} for row in rows]
    chart = alt.vconcat(
        _panel(points, spans, "value", "requests", 1.0, 110, "series"),
        _panel(tokens, spans, "output_tokens", "output tokens/s", 1.0, 110, "series"),
        spacing=8,
    ).resolve_scale(color="independent")
    return Figure(
        name=name,
        title=f"Load over time: {detail.name}",
        caption="Requests in flight and waiting (due and not sent), and output tokens, by the "
        "second; the shaded part is the measured window, before it is the ramp, after it the "
        "drain.",
        svg=draw(chart, name),
        columns=[
            *("time (s)", "phase", "requests in flight", "requests waiting", "output tokens/s"),
        ],
        rows=[
            [
                *(row["time_s"], row["phase"], row["requests_in_flight"]),
                *(row["requests_waiting"], row["output_tokens"]),
            ]
            for row in rows
        ],
    )
