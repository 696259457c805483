"""Readings as a result may use them: samplers are foreign code.

Energies and uncertainties that cannot be are refused, and GPUs that CUDA hides are marked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from llem_core.contracts.sampler import DomainReading, EnergyReading
from llem_core.meters.visible import visible_gpus


def reject_impossible(reading: EnergyReading) -> EnergyReading:
    """The reading without energies and uncertainties that cannot be, each with a reason or warning.

    Raises:
        ValueError: the window has no length.
    """
    if not reading.duration_s > 0:
        raise ValueError(
            f"its window {reading.window!r} lasted {reading.duration_s:g} s by its own account"
        )
    warnings = [w for domain in reading.domains if (w := _bad_terms(domain))]
    domains = tuple(_without_impossible(domain) for domain in reading.domains)
    return replace(reading, domains=domains, warnings=(*reading.warnings, *warnings))


def _without_impossible(domain: DomainReading) -> DomainReading:
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


def with_visibility(reading: EnergyReading, environ: Mapping[str, str]) -> EnergyReading:
    """The reading with ``visible`` filled in for GPUs that are named by their UUID.

    Many libraries of meters name all GPUs and know nothing of ``CUDA_VISIBLE_DEVICES``, or take
    its entries for something else than CUDA does.
    """
    here = [d for d in reading.domains if d.kind == "gpu" and d.host is None]
    gpus = [d for d in here if d.name.startswith("GPU-")]
    if not gpus or any(gpu.visible is not None for gpu in gpus):
        return reading
    shown = visible_gpus(environ, [gpu.name for gpu in gpus], [gpu.label or "" for gpu in gpus])
    note = f"{shown.note}."
    unsaid = shown.note is not None and note not in reading.warnings
    warnings = (*reading.warnings, note) if unsaid else reading.warnings
    if shown.uuids is None:
        return replace(reading, warnings=warnings)
    told = {gpu.name: replace(gpu, visible=gpu.name in shown.uuids) for gpu in gpus}
    domains = tuple(told.get(domain.name, domain) for domain in reading.domains)
    return replace(reading, domains=domains, warnings=warnings)
