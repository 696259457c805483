"""All plots of a report, by the part of the page that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from altair.utils.schemapi import debug_mode

from llem_report.facts.entries import Entry
from llem_report.plots.budget import budgets
from llem_report.plots.effects import effects
from llem_report.plots.figure import Figure
from llem_report.plots.grid import heat_maps
from llem_report.plots.latency import distributions, warm_ups
from llem_report.plots.ranking import ranking
from llem_report.plots.timeline import timelines
from llem_report.plots.tradeoff import tradeoffs
from llem_report.sources.detail import Detail
from llem_report.sources.material import Source


@dataclass(frozen=True, slots=True)
class Plots:
    """The figures of each part.

    Attributes:
        comparison: of all configurations.
        latency: of the detailed runs.
        time: of the detailed runs, over time.
        trust: uncertainty, warm-up, and what cycles and nodes do.
    """

    comparison: tuple[Figure, ...]
    latency: tuple[Figure, ...]
    time: tuple[Figure, ...]
    trust: tuple[Figure, ...]


def draw_all(
    sources: Sequence[Source],
    entries: Sequence[Entry],
    details: Sequence[Detail],
    *,
    validate: bool = False,
) -> Plots:
    """Draw what these results have the data for.

    Args:
        sources: studies and experiments.
        entries: their configurations.
        details: the runs that are drawn in detail.
        validate: whether each chart is held against Vega-Lite's schema.
    """
    compared = entries if len(entries) > 1 else ()
    # The charts are these modules' own: looking each part up in Vega-Lite's schema takes longer
    # than drawing. The tests draw with it.
    with nullcontext() if validate else debug_mode(False):
        return Plots(
            comparison=(*ranking(compared), *tradeoffs(compared), *heat_maps(compared)),
            latency=tuple(distributions(details)),
            time=tuple(timelines(details)),
            trust=(*budgets(details), *warm_ups(details), *effects(sources)),
        )
