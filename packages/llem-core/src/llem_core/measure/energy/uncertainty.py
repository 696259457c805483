"""Adds the standard uncertainties that samplers state for single devices.

Terms of different names are independent and add as squares (JCGM 100:2008, 5.1.2). Terms of one
name over several devices do so too, unless they say that their cause is common to the devices, such
as the edges of one window: those are taken as fully correlated and add as they are (5.2.2, note 1),
which is also the upper bound. A term's name decides nothing.

The gross energy is E = Σ E_d over the devices in use; samplers state the terms of each E_d. The
adjusted energy is A = E − P_b·T with the loaded-idle baseline P_b and the window's length T, so to
first order (5.1.2)

    u²(A) = u²(E) + T²·u²(P_b) + P_b²·u²(T)

baseline
    T·u(P_b); ``baseline`` derives u(P_b). It grows with the window and falls with the baseline's
    own length.
clock
    Both edges of T are read from one monotonic clock; what is left is its rate r (``CLOCK_RATE``).
    P_b·T is the baseline's energy times T over the baseline's length, so two rates enter,
    √2·r·P_b·T. What the rate does to an energy that was integrated over time, its sampler states.
terms that scale with the energy, such as a gain
    An error of a card's scale is in E_d and in its idle power alike, so that of A is the same
    share of A_d = E_d − P_b,d·T. It is far smaller than that of E for a run near idle.
all other terms
    Enter A as they enter E.

The expanded uncertainty is k·u with k = 2 for a coverage of 95 % (6.3.3). Half-widths of intervals
are divided by √3, and the scatter of few parts is widened where it is evaluated (``baseline``), so
that one factor serves all terms. ``benchmarks/adjusted_coverage.py`` shows what it covers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from llem_core.contracts.sampler import DomainReading, Growth, UncertaintyComponent
from llem_core.meters.budget import CLOCK_RATE
from llem_core.results.energy import BaselinePower, BudgetTerm, FigureBudget, UncertaintyBudget

Scope = Literal["comparison", "absolute"]
Scale = Callable[[DomainReading, UncertaintyComponent], float]

COVERAGE = 0.95
COVERAGE_FACTOR = 2.0
"""k of an expanded uncertainty for that coverage (JCGM 100:2008, 6.3.3)."""


@dataclass(frozen=True, slots=True)
class Term:
    """What distinguishes one row of a budget from another."""

    name: str
    scope: Scope = "comparison"
    growth: Growth = "constant"


def by_term(domains: Iterable[DomainReading], scale: Scale = lambda *_: 1.0) -> dict[Term, float]:
    """Standard uncertainty of the sum of the domains' energies, term by term (J).

    Args:
        domains: the domains in the sum.
        scale: a factor for each component.
    """
    shared: dict[Term, float] = defaultdict(float)
    own: dict[Term, float] = defaultdict(float)
    for domain in domains:
        for component in domain.uncertainty:
            standard_j = component.standard_j * scale(domain, component)
            scope: Scope = "absolute" if component.common_to_runs else "comparison"
            term = Term(component.name, scope, component.growth)
            if component.common_to_devices:
                shared[term] += standard_j
            else:
                own[term] = math.hypot(own[term], standard_j)
    return {term: math.hypot(shared[term], own[term]) for term in dict.fromkeys([*shared, *own])}


def combined(domains: Iterable[DomainReading], scope: Scope) -> float:
    """Standard uncertainty of the sum of the domains' energies, all terms of a scope (J)."""
    return math.hypot(*(v for term, v in by_term(domains).items() if term.scope == scope))


def budget(
    used: Sequence[DomainReading], baseline: BaselinePower | None, duration_s: float
) -> UncertaintyBudget | None:
    """The budget of one result; ``None`` where a domain in the total states no uncertainty.

    Args:
        used: the domains in the total.
        baseline: the baseline that is subtracted, if any.
        duration_s: length of the measured window (s).
    """
    if not used or any(not domain.uncertainty for domain in used):
        return None
    rows = _terms(used, baseline, duration_s)
    comparison, absolute = _figure(rows, "total", "comparison"), _figure(rows, "total", "absolute")
    figures = [comparison, absolute]
    if baseline is not None and baseline.standard_uncertainty_w is not None:
        figures += [_figure(rows, "adjusted", "comparison"), _figure(rows, "adjusted", "absolute")]
    adjusted: list[float] | list[None] = [f.expanded_j for f in figures[2:]] or [None, None]
    return UncertaintyBudget(
        coverage=COVERAGE,
        coverage_factor=COVERAGE_FACTOR,
        comparison_j=comparison.expanded_j,
        absolute_j=absolute.expanded_j,
        adjusted_comparison_j=adjusted[0],
        adjusted_absolute_j=adjusted[1],
        figures=figures,
        terms=rows,
    )


def _terms(
    used: Sequence[DomainReading], baseline: BaselinePower | None, duration_s: float
) -> list[BudgetTerm]:
    total = by_term(used)
    adjusted: dict[Term, float] = {}
    if baseline is not None and baseline.standard_uncertainty_w is not None:
        idle_w = baseline.per_device_w
        adjusted = by_term(used, lambda d, c: _left(d, c, idle_w.get(d.name, 0.0) * duration_s))
        own = Term("baseline", growth="linear")
        adjusted[own] = baseline.standard_uncertainty_w * duration_s
        idle_j = (baseline.power_w or 0.0) * duration_s
        clock = Term("clock", growth="linear")
        adjusted[clock] = math.hypot(adjusted.get(clock, 0.0), math.sqrt(2) * CLOCK_RATE * idle_j)
    rows = [
        BudgetTerm(
            name=term.name,
            scope=term.scope,
            growth=term.growth,
            total_j=total.get(term, 0.0),
            adjusted_j=adjusted.get(term, 0.0) if adjusted else None,
        )
        for term in {**total, **adjusted}
    ]
    return sorted(rows, key=lambda row: -max(row.total_j, row.adjusted_j or 0.0))


def _left(domain: DomainReading, component: UncertaintyComponent, idle_j: float) -> float:
    """Factor from a component of a device's energy to that of its adjusted energy."""
    if not component.scales_with_energy or not domain.energy_j:
        return 1.0
    return abs(domain.energy_j - idle_j) / domain.energy_j


def _figure(rows: Sequence[BudgetTerm], energy: str, scope: Scope) -> FigureBudget:
    # What differs from run to run makes absolute joules uncertain too.
    within = [row for row in rows if scope == "absolute" or row.scope == "comparison"]
    values = [(row, row.total_j if energy == "total" else row.adjusted_j or 0.0) for row in within]
    variance = math.fsum(value**2 for _, value in values)
    shares: dict[str, float] = {}
    for row, value in values:
        if value > 0 and variance > 0:
            shares[row.name] = shares.get(row.name, 0.0) + value**2 / variance
    return FigureBudget(
        energy="total" if energy == "total" else "adjusted",
        scope=scope,
        standard_j=math.sqrt(variance),
        expanded_j=COVERAGE_FACTOR * math.sqrt(variance),
        shares=dict(sorted(shares.items(), key=lambda item: -item[1])),
    )
