"""Adds the standard uncertainties that samplers state for single devices.

Components of different names are independent and add as squares (JCGM 100:2008, 5.1.2). Those of
one name over several devices do so only where their causes are the devices' own:

- ``edges`` and ``clock``: the devices' windows open and close at the same moments, and their power
  changes together when the work starts and ends, so these errors have one cause. They are taken
  as fully correlated and add as they are (5.2.2, note 1), which is also the upper bound.
- ``gain``: boards of one product share a design, and how far their errors agree is not known; the
  bound is taken as well.
- all others, such as ``quantisation`` and ``sampling``, add as squares.

Combines the terms of the uncertainty budget into the figures of a result.

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

The expanded uncertainty is k·u with k = 2 for a coverage of 95 % (6.3.3). Half-widths of intervals
are divided by √3, and the scatter of few parts is widened where it is evaluated (``baseline``), so
that one factor serves all terms. ``benchmarks/adjusted_coverage.py`` shows what it covers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal

from llem_core.contracts.sampler import DomainReading, UncertaintyComponent
from llem_core.results.energy import BaselinePower, BudgetTerm, FigureBudget, UncertaintyBudget

Scope = Literal["comparison", "absolute"]
Scale = Callable[[DomainReading, UncertaintyComponent], float]

COVERAGE = 0.95
COVERAGE_FACTOR = 2.0
"""k of an expanded uncertainty for that coverage (JCGM 100:2008, 6.3.3)."""

TOGETHER = frozenset({"edges", "clock", "gain"})
"""Names of components that have one cause in all devices."""


def by_term(
    domains: Iterable[DomainReading], scale: Scale = lambda *_: 1.0
) -> dict[tuple[str, Scope], float]:
    """Standard uncertainty of the sum of the domains' energies, term by term (J).

    Args:
        domains: the domains in the sum.
        scale: a factor for each component.
    """
    values: dict[tuple[str, Scope], list[float]] = defaultdict(list)
    for domain in domains:
        for component in domain.uncertainty:
            standard_j = component.standard_j * scale(domain, component)
            values[component.name, component.scope].append(standard_j)
    return {key: _sum(key[0], found) for key, found in values.items()}


def combined(domains: Iterable[DomainReading], scope: Scope) -> float:
    """Standard uncertainty of the sum of the domains' energies, all terms of a scope (J)."""
    return math.hypot(*(v for (_, each), v in by_term(domains).items() if each == scope))


def _sum(name: str, values: Sequence[float]) -> float:
    return math.fsum(values) if name in TOGETHER else math.hypot(*values)


CLOCK_RATE = 500e-6 / math.sqrt(3)
"""Relative standard uncertainty of the rate of the monotonic clock."""


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
    timed = [_with_clock(domain) for domain in used]
    rows = _terms(timed, baseline, duration_s)
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


def _with_clock(domain: DomainReading) -> DomainReading:
    """Add the clock's term to integrated energy, unless its sampler has."""
    if domain.method != "integrated" or any(c.name == "clock" for c in domain.uncertainty):
        return domain
    clock = UncertaintyComponent("clock", (domain.energy_j or 0.0) * CLOCK_RATE)
    return replace(domain, uncertainty=(*domain.uncertainty, clock))


def _terms(
    used: Sequence[DomainReading], baseline: BaselinePower | None, duration_s: float
) -> list[BudgetTerm]:
    total = by_term(used)
    adjusted: dict[tuple[str, Scope], float] = {}
    if baseline is not None and baseline.standard_uncertainty_w is not None:
        idle_w = baseline.per_device_w
        adjusted = by_term(used, lambda d, c: _left(d, c, idle_w.get(d.name, 0.0) * duration_s))
        adjusted["baseline", "comparison"] = baseline.standard_uncertainty_w * duration_s
        idle_j = (baseline.power_w or 0.0) * duration_s
        key: tuple[str, Scope] = ("clock", "comparison")
        adjusted[key] = math.hypot(adjusted.get(key, 0.0), math.sqrt(2) * CLOCK_RATE * idle_j)
    rows = [
        BudgetTerm(
            name=name,
            scope=scope,
            total_j=total.get((name, scope), 0.0),
            adjusted_j=adjusted.get((name, scope), 0.0) if adjusted else None,
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
