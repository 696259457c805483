"""Adds the standard uncertainties that samplers state for single devices.

Components of different names are independent and add as squares (JCGM 100:2008, 5.1.2). Those of
one name over several devices do so only where their causes are the devices' own:

- ``edges`` and ``clock``: the devices' windows open and close at the same moments, and their power
  changes together when the work starts and ends, so these errors have one cause. They are taken
  as fully correlated and add as they are (5.2.2, note 1), which is also the upper bound.
- ``gain``: boards of one product share a design, and how far their errors agree is not known; the
  bound is taken as well.
- all others, such as ``quantisation`` and ``sampling``, add as squares.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from llem_core.contracts.readings import DomainReading, UncertaintyComponent

Scope = Literal["comparison", "absolute"]
Scale = Callable[[DomainReading, UncertaintyComponent], float]

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
