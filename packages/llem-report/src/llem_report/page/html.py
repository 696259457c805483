"""Fills the page's templates; everything from a result is escaped there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from llem_report.facts.document import Document
from llem_report.facts.electricity import Derived
from llem_report.facts.parts import Table, clean
from llem_report.facts.tables import at_a_glance, configurations
from llem_report.page.figures import MOST_ROWS, Shown, data_url, shown
from llem_report.plots.all import Plots
from llem_report.plots.figure import Figure
from llem_report.plots.theme import variables

_PARTS = (
    ("comparison", "Configurations"),
    ("latency", "Latency"),
    ("time", "Over time"),
    ("trust", "What stands behind the figures"),
)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("llem_report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalized(value: Any) -> Any:
    """Every text that a template prints, with what would act instead of being seen written out."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value)
    return value


def page(found: Document, plots: Plots) -> str:
    """The whole page.

    Args:
        found: the facts.
        plots: the figures.
    """
    table = configurations(found.entries)
    parts = {name: _shown(getattr(plots, name)) for name, _ in _PARTS}
    return (
        _environment()
        .get_template("page.html")
        .render(
            found=found,
            glance=at_a_glance(found.entries),
            table=_cut(table),
            table_csv=data_url("text/csv", _csv(table)),
            parts=parts,
            titles=dict(_PARTS),
            light=Markup(variables(dark=False)),  # noqa: S704 - constants of the theme
            dark=Markup(variables(dark=True)),  # noqa: S704 - likewise
            derived_table=derived_table(found.derived) if found.derived else None,
            unfinished=[source for source in found.sources if source.unfinished],
        )
    )


def derived_table(derived: Derived) -> Table:
    """Emissions and costs; the word stands where the energy behind them is an estimate."""
    cost = f"cost ({derived.currency or 'currency not named'})"
    rows = []
    for row in derived.rows:
        word = " (estimated)" if row.estimated else ""
        rows.append(
            (
                row.name,
                f"{row.energy_kwh:.4g}{word}",
                "none" if row.co2e_g is None else f"{row.co2e_g:.4g}{word}",
                "none" if row.cost is None else f"{row.cost:.4g}{word}",
            )
        )
    columns = ("configuration", "kWh at the site", "g CO2e", cost)
    return Table("Derived, for a million output tokens", columns, tuple(rows))


def _shown(figures: Iterable[Figure]) -> list[Shown]:
    return [shown(figure) for figure in figures]


def _cut(table: Table) -> Table:
    if len(table.rows) <= MOST_ROWS:
        return table
    more = f"; the first {MOST_ROWS} of {len(table.rows):,}, the CSV has all"
    return Table(table.caption + more, table.columns, table.rows[:MOST_ROWS])


def _csv(table: Table) -> str:
    return Figure("", "", "", "", table.columns, table.rows).csv()
