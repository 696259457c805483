"""Refuses readings that cannot be: samplers are foreign code, and a result must not rest on one."""

from __future__ import annotations

import math
from dataclasses import replace

from llem_core.contracts.readings import DomainReading, EnergyReading


def sane(reading: EnergyReading) -> EnergyReading:
    """The reading without energies and uncertainties that cannot be, each with a reason or warning.

    Raises:
        ValueError: the window has no length.
    """
    if not reading.duration_s > 0:
        raise ValueError(
            f"its window {reading.window!r} lasted {reading.duration_s:g} s by its own account"
        )
    warnings = [w for domain in reading.domains if (w := _bad_terms(domain))]
    domains = tuple(_sane(domain) for domain in reading.domains)
    return replace(reading, domains=domains, warnings=(*reading.warnings, *warnings))


def _sane(domain: DomainReading) -> DomainReading:
    if _bad_terms(domain):
        domain = replace(domain, uncertainty=())
    if domain.cross_check_j is not None and not _possible(domain.cross_check_j):
        domain = replace(domain, cross_check_j=None)
    if domain.energy_j is None or _possible(domain.energy_j):
        return domain
    reason = f"the sampler gave {domain.energy_j:g} J, which no energy can be"
    return replace(domain, energy_j=None, reason=reason, uncertainty=())


def _bad_terms(domain: DomainReading) -> str | None:
    bad = [term for term in domain.uncertainty if not _possible(term.standard_j)]
    if not bad:
        return None
    return (
        f"The sampler states an uncertainty of {domain.label or domain.name} that cannot be "
        f"({bad[0].name}: {bad[0].standard_j:g} J); it is left out."
    )


def _possible(value: float) -> bool:
    return math.isfinite(value) and value >= 0
