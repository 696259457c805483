"""Combines the terms of the uncertainty budget into the figures of a result.

The gross energy is E = Σ E_d over the devices in use; samplers state the terms of each E_d
(``combine`` adds them). The adjusted energy is A = E − P_b·T with the loaded-idle baseline P_b and
the window's length T, so to first order (JCGM 100:2008, 5.1.2)

    u²(A) = u²(E) + T²·u²(P_b) + P_b²·u²(T)

baseline
    T·u(P_b); ``baseline`` derives u(P_b). It grows with the window and falls with the baseline's
    own length.
clock
    Both edges of T are read from one monotonic clock with a resolution of nanoseconds; what is
    left is its rate. The kernel changes that by 500 ppm at the most (adjtimex(2)), taken as
    uniform: r = 500·10⁻⁶/√3. Energy integrated over time is off by r·E_d; a counter's is not.
    P_b·T is the baseline's energy times T over the baseline's length, so with a counter two rates
    enter, √2·r·P_b·T.
gain
    An error of a card's scale is in E_d and in its idle power alike, so that of A is the same
    share of A_d = E_d − P_b,d·T. It is far smaller than that of E for a run near idle.
edges, quantisation, sampling
    Enter A as they enter E.

The expanded uncertainty is k·u for a coverage of 95 %. Most terms are half-widths of intervals
that are stated outright (Type B, infinite degrees of freedom): k = 2 (6.3.3). A baseline's scatter
has m − 1 degrees of freedom, and a sampler may say nothing of its own, so for A the effective
ones are found by Welch and Satterthwaite's formula (G.4.1), and k is Student's t for them where
that is above 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from llem_core.contracts.readings import DomainReading, UncertaintyComponent
from llem_core.measure.combine import Scope, by_term
from llem_core.measure.student import coverage_factor
from llem_core.results.energy import BudgetTerm, FigureBudget, IdlePower, UncertaintyBudget

COVERAGE = 0.95
CLOCK_RATE = 500e-6 / math.sqrt(3)
"""Relative standard uncertainty of the rate of the monotonic clock."""


def budget(
    used: Sequence[DomainReading], baseline: IdlePower | None, duration_s: float
) -> UncertaintyBudget | None:
    """The budget of one result; ``None`` where a domain in the total states no uncertainty.

    Args:
        used: the domains in the total.
        baseline: the baseline that is subtracted, if any.
        duration_s: length of the measured window (s).
    """
    if not used or any(not domain.uncertainty for domain in used):
        return None
    timed = [_with_clock(domain) for domain in used]
    rows = _terms(timed, baseline, duration_s)
    comparison, absolute = _figure(rows, "total", "comparison"), _figure(rows, "total", "absolute")
    figures = [comparison, absolute]
    if baseline is not None and baseline.standard_error_w is not None:
        figures += [_figure(rows, "adjusted", "comparison"), _figure(rows, "adjusted", "absolute")]
    adjusted: list[float] | list[None] = [f.expanded_j for f in figures[2:]] or [None, None]
    return UncertaintyBudget(
        coverage=COVERAGE,
        comparison_j=comparison.expanded_j,
        absolute_j=absolute.expanded_j,
        adjusted_comparison_j=adjusted[0],
        adjusted_absolute_j=adjusted[1],
        figures=figures,
        terms=rows,
    )


def _with_clock(domain: DomainReading) -> DomainReading:
    """Add the clock's term to integrated energy, unless its sampler has."""
    if domain.method != "integrated" or any(c.name == "clock" for c in domain.uncertainty):
        return domain
    clock = UncertaintyComponent("clock", (domain.energy_j or 0.0) * CLOCK_RATE)
    return replace(domain, uncertainty=(*domain.uncertainty, clock))


def _terms(
    used: Sequence[DomainReading], baseline: IdlePower | None, duration_s: float
) -> list[BudgetTerm]:
    total = by_term(used)
    adjusted: dict[tuple[str, Scope], float] = {}
    freedom = {}
    if baseline is not None and baseline.standard_error_w is not None:
        idle_w = baseline.per_device_w
        adjusted = by_term(used, lambda d, c: _left(d, c, idle_w.get(d.name, 0.0) * duration_s))
        adjusted["baseline", "comparison"] = baseline.standard_error_w * duration_s
        freedom["baseline"] = baseline.degrees_of_freedom
        idle_j = (baseline.power_w or 0.0) * duration_s
        key: tuple[str, Scope] = ("clock", "comparison")
        adjusted[key] = math.hypot(adjusted.get(key, 0.0), math.sqrt(2) * CLOCK_RATE * idle_j)
    rows = [
        BudgetTerm(
            name=name,
            scope=scope,
            total_j=total.get((name, scope), 0.0),
            adjusted_j=adjusted.get((name, scope), 0.0) if adjusted else None,
            degrees_of_freedom=freedom.get(name),
        )
        for name, scope in {**total, **adjusted}
    ]
    return sorted(rows, key=lambda row: -max(row.total_j, row.adjusted_j or 0.0))


def _left(domain: DomainReading, component: UncertaintyComponent, idle_j: float) -> float:
    """Factor from a component of a device's energy to that of its adjusted energy."""
    if component.name != "gain" or not domain.energy_j:
        return 1.0
    return abs(domain.energy_j - idle_j) / domain.energy_j


def _figure(rows: Sequence[BudgetTerm], energy: str, scope: Scope) -> FigureBudget:
    # What differs from run to run makes absolute joules uncertain too.
    within = [row for row in rows if scope == "absolute" or row.scope == "comparison"]
    values = [(row, row.total_j if energy == "total" else row.adjusted_j or 0.0) for row in within]
    variance = math.fsum(value**2 for _, value in values)
    freedom = _effective([(value, row.degrees_of_freedom) for row, value in values], variance)
    factor = coverage_factor(freedom)
    shares: dict[str, float] = {}
    for row, value in values:
        if value > 0 and variance > 0:
            shares[row.name] = shares.get(row.name, 0.0) + value**2 / variance
    return FigureBudget(
        energy="total" if energy == "total" else "adjusted",
        scope=scope,
        standard_j=math.sqrt(variance),
        degrees_of_freedom=freedom,
        coverage_factor=factor,
        expanded_j=factor * math.sqrt(variance),
        shares=dict(sorted(shares.items(), key=lambda item: -item[1])),
    )


def _effective(values: Sequence[tuple[float, float | None]], variance: float) -> float | None:
    """Welch and Satterthwaite's degrees of freedom; ``None`` is infinite."""
    # Divided by the variance before it is squared: joules to the fourth would overflow first.
    parts = [(v * v / variance) ** 2 / n for v, n in values if n is not None and variance > 0]
    total = math.fsum(parts)
    return 1 / total if total > 0 else None
