"""Where the uncertainty of the energy comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from llem_report.plots.drawing import draw
from llem_report.plots.figure import Figure
from llem_report.plots.scales import Row, values
from llem_report.plots.theme import MUTED, SERIES, WIDTH
from llem_report.sources.detail import Detail

_LEAST_SHARE = 0.02
_OTHERS = "smaller terms"
_MEANINGS = {"comparison": "between runs on one card", "absolute": "as absolute joules"}


def budgets(details: Sequence[Detail]) -> Iterator[Figure]:
    """The shares of the terms in both uncertainties of the gross energy of each run."""
    rows: list[Row] = []
    table: list[list[str | float | int | None]] = []
    for number, detail in enumerate(details, start=1):
        budget = detail.result.uncertainty
        for figure in budget.figures if budget else ():
            if figure.energy != "total":
                continue
            place = (
                f"{number}: {_MEANINGS[figure.scope]}"
                if len(details) > 1
                else _MEANINGS[figure.scope]
            )
            small = sum(share for share in figure.shares.values() if share < _LEAST_SHARE)
            parts = {n: s for n, s in figure.shares.items() if s >= _LEAST_SHARE}
            if small:
                parts[_OTHERS] = small
            rows += [{"place": place, "term": n, "share": 100 * s} for n, s in parts.items()]
            table += [
                [detail.name, _MEANINGS[figure.scope], n, s, figure.expanded_j]
                for n, s in figure.shares.items()
            ]
    if rows:
        yield _figure(rows, table, len(details) > 1)


def _figure(
    rows: Sequence[Row],
    table: Sequence[list[str | float | int | None]],
    several: bool,
) -> Figure:
    terms = list(dict.fromkeys(str(row["term"]) for row in rows if row["term"] != _OTHERS))
    if any(row["term"] == _OTHERS for row in rows):
        terms.append(_OTHERS)
    colors = [MUTED if t == _OTHERS else SERIES[i % len(SERIES)] for i, t in enumerate(terms)]
    chart = (
        alt.Chart(values([{**row, "order": terms.index(str(row["term"]))} for row in rows]))
        .mark_bar(height=16)
        .encode(
            y=alt.Y("place:N", title=None, sort=list(dict.fromkeys(r["place"] for r in rows))),
            x=alt.X("share:Q", title="share of the variance, %", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color("term:N", title=None, scale=alt.Scale(domain=terms, range=colors)),
            order=alt.Order("order:Q"),
        )
        .properties(
            width=WIDTH,
            height=alt.Step(26),
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
    )
    numbers = " Runs are numbered as in the details below." if several else ""
    return Figure(
        name="uncertainty",
        title="Where the uncertainty of the energy comes from",
        caption="Shares of the terms in the variance of the gross energy of one run, for "
        f"comparisons between runs on one card and for absolute joules.{numbers}",
        svg=draw(chart, "uncertainty"),
        columns=[
            *("configuration", "uncertainty", "term", "share of the variance"),
            "expanded uncertainty, 95 % (J)",
        ],
        rows=table,
    )
