"""What cycles and nodes do to the energy, apart from the configurations."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import altair as alt

from llem_report.plots.drawing import draw
from llem_report.plots.figure import Figure
from llem_report.plots.scales import short_names, values
from llem_report.plots.theme import MUTED, SERIES, WIDTH
from llem_report.sources.material import Source
from llem_report.sources.run import Run

_MOST_DOTS = 1500


def effects(sources: Sequence[Source]) -> Iterator[Figure]:
    """For each study of several cycles, and each with nodes."""
    for number, source in enumerate(sources, start=1):
        among = f" ({source.name})" if len(sources) > 1 else ""
        cycles = _cycles(source, f"cycles-{number}", among)
        if cycles is not None:
            yield cycles
        if source.nodes:
            yield _nodes(source, f"nodes-{number}", among)


def _deviations(source: Source) -> list[tuple[Run, float]]:
    """Each run's energy per output token against the mean of its configuration (%)."""
    means = {
        one.config_hash: one.energy_per_output_token_j.mean
        for one in source.configurations
        if one.energy_per_output_token_j is not None and one.energy_per_output_token_j.n > 1
    }
    found = []
    for run in source.runs:
        energy_j, mean_j = run.figures.energy_per_output_token_j, means.get(run.config_hash)
        if energy_j is not None and mean_j:
            found.append((run, 100 * (energy_j / mean_j - 1)))
    return found


def _cycles(source: Source, name: str, among: str) -> Figure | None:
    found = [(run, percent) for run, percent in _deviations(source) if run.cycle is not None]
    of_cycle: dict[int, list[float]] = {}
    for run, percent in found:
        of_cycle.setdefault(run.cycle or 0, []).append(percent)
    if len(of_cycle) < 2:
        return None
    word = " (estimated)" if any(run.estimated for run, _ in found) else ""
    step = max(1, len(found) // _MOST_DOTS)
    dots = [{"cycle": run.cycle, "percent": percent} for run, percent in found[::step]]
    means = [{"cycle": c, "percent": statistics.fmean(v)} for c, v in sorted(of_cycle.items())]
    x = alt.X("cycle:O", title="cycle", axis=alt.Axis(labelAngle=0, labelOverlap=True))
    y = alt.Y("percent:Q", title=f"deviation{word}, %")
    chart = alt.layer(
        alt.Chart(values([{"percent": 0}])).mark_rule(color=MUTED).encode(y="percent:Q"),
        alt.Chart(values(dots)).mark_point(filled=True, size=18, opacity=0.5).encode(x=x, y=y),
        alt.Chart(values(means)).mark_tick(thickness=3, size=26, color=SERIES[1]).encode(x=x, y=y),
    ).properties(
        width=WIDTH, height=230, autosize=alt.AutoSizeParams(type="fit", contains="padding")
    )
    sampled = f" Every {step}th run is drawn." if step > 1 else ""
    return Figure(
        name=name,
        title=f"Energy per output token{word} by cycle{among}",
        caption="Each run against the mean of its configuration; the bar is the mean of the cycle. "
        f"A drift from cycle to cycle is one of the machine, such as its warming up.{sampled}",
        svg=draw(chart, name),
        columns=["cycle", "runs", "mean deviation (%)", "smallest (%)", "largest (%)"],
        rows=[
            [c, len(v), statistics.fmean(v), min(v), max(v)] for c, v in sorted(of_cycle.items())
        ],
    )


def _nodes(source: Source, name: str, among: str) -> Figure:
    short = short_names([node.node for node in source.nodes])
    rows = [
        {
            "node": name,
            "mean": node.effect_percent,
            "low": node.interval_low_percent,
            "high": node.interval_high_percent,
        }
        for node, name in zip(source.nodes, short, strict=True)
    ]
    y = alt.Y("node:N", title=None)
    base = alt.Chart(values(rows)).encode(y=y)
    chart = alt.layer(
        alt.Chart(values([{"mean": 0}])).mark_rule(color=MUTED).encode(x="mean:Q"),
        base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x=alt.X("mean:Q", title="against the mean of all nodes, %")
        ),
    ).properties(
        width=WIDTH,
        height=alt.Step(24),
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    )
    return Figure(
        name=name,
        title=f"What each node does to the energy per output token{among}",
        caption="Effect of each node with its 95 % interval, from cycles that were kept on one "
        "node; no interval where no node has two cycles.",
        svg=draw(chart, name),
        columns=["node", "effect (%)", "interval low (%)", "interval high (%)", "runs", "blocks"],
        rows=[
            [
                *(n.node, n.effect_percent, n.interval_low_percent, n.interval_high_percent),
                *(n.n_runs, n.n_blocks),
            ]
            for n in source.nodes
        ],
    )
