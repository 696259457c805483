"""Combines the terms of the uncertainty budget into the figures of a result.

Independent standard uncertainties add as squares, and the expanded uncertainty is k times
their root with k = 2 for a coverage of 95 %: JCGM 100:2008 (GUM), sections 5.1.2 and 6.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from llem_core.contracts.readings import DomainReading
from llem_core.results.energy import BudgetTerm, IdlePower, UncertaintyBudget

COVERAGE = 0.95
COVERAGE_FACTOR = 2.0


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
    terms = _domain_terms(used)
    adjusted = baseline is not None and baseline.standard_error_w is not None
    if baseline is not None and baseline.standard_error_w is not None:
        terms[("baseline", "comparison", "adjusted")] = baseline.standard_error_w * duration_s
    variance = math.fsum(value**2 for value in terms.values())
    rows = [
        BudgetTerm(
            name=name,
            standard_j=value,
            scope="absolute" if scope == "absolute" else "comparison",
            applies_to="adjusted" if applies_to == "adjusted" else "total",
            share=value**2 / variance if variance else 0.0,
        )
        for (name, scope, applies_to), value in sorted(terms.items(), key=lambda item: -item[1])
    ]
    comparison = [r for r in rows if r.scope == "comparison" and r.applies_to == "total"]
    every = [r for r in rows if r.applies_to == "total"]
    return UncertaintyBudget(
        coverage=COVERAGE,
        coverage_factor=COVERAGE_FACTOR,
        comparison_j=_expanded(comparison),
        absolute_j=_expanded(every),
        adjusted_comparison_j=_expanded(r for r in rows if r.scope == "comparison")
        if adjusted
        else None,
        adjusted_absolute_j=_expanded(rows) if adjusted else None,
        terms=rows,
    )


def _domain_terms(used: Sequence[DomainReading]) -> dict[tuple[str, str, str], float]:
    # Devices err independently; the gain of one card says nothing of another's.
    terms: dict[tuple[str, str, str], float] = {}
    for domain in used:
        for component in domain.uncertainty:
            key = (component.name, component.scope, "total")
            terms[key] = math.hypot(terms.get(key, 0.0), component.standard_j)
    return terms


def _expanded(terms: Iterable[BudgetTerm]) -> float:
    return COVERAGE_FACTOR * math.sqrt(math.fsum(term.standard_j**2 for term in terms))
