"""Energy of record: from a sampler's reading to totals, breakdown and reasons."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from llem_core.contracts.readings import DomainReading, EnergyMethod, EnergyReading
from llem_core.measure.domains import used_domains
from llem_core.results.energy import DomainEnergy, EnergyBreakdown


@dataclass(frozen=True, slots=True)
class RecordedEnergy:
    """Energy of one window over the domains that the experiment used.

    Attributes:
        total_j: gross energy, or ``None``.
        reason: why it is ``None``.
        method: ``estimated`` if any part of the total is.
        used: the domains in the total.
        breakdown: every domain, ``None`` without a reading.
        cross_check_j: the total by another method, where every domain in it has one.
        warnings: what was noticed.
    """

    total_j: float | None
    reason: str | None
    method: EnergyMethod | None = None
    used: tuple[DomainReading, ...] = ()
    breakdown: EnergyBreakdown | None = None
    cross_check_j: float | None = None
    warnings: tuple[str, ...] = field(default=())


def record_energy(
    reading: EnergyReading | None,
    reason: str | None,
    uuids: Collection[str],
    device_kind: str,
) -> RecordedEnergy:
    """Sum the domains in use.

    The total is ``None`` if a device that computes has no reading. A host domain without one
    is left out of the total and of its scope, with a warning.

    Args:
        reading: of the measured window; ``None`` where nothing measured.
        reason: why there is none.
        uuids: GPUs that the experiment used.
        device_kind: where it ran.
    """
    if reading is None:
        return RecordedEnergy(None, reason or "nothing measured energy")
    used = used_domains(reading, uuids, device_kind)
    computing = [d for d in used if d.kind == device_kind] or used
    missing = [d for d in computing if d.energy_j is None]
    warnings = list(reading.warnings)
    for domain in used:
        if domain.energy_j is None and domain not in computing:
            warnings.append(
                f"The energy of {domain.name} is not in the total: {domain.reason or 'no reading'}."
            )
        if domain.shared_with:
            warnings.append(
                f"Other processes used {domain.label or domain.name} meanwhile, and their energy "
                f"is in the total: {', '.join(domain.shared_with)}."
            )
    known = tuple(d for d in used if d.energy_j is not None)
    breakdown = _breakdown(reading.domains, used)
    if missing or not known:
        return RecordedEnergy(
            None, _why(missing, reading), breakdown=breakdown, warnings=tuple(warnings)
        )
    checks = [d.cross_check_j for d in known]
    return RecordedEnergy(
        total_j=sum(d.energy_j or 0.0 for d in known),
        reason=None,
        method=_method(known),
        used=known,
        breakdown=breakdown,
        cross_check_j=None if None in checks else sum(c or 0.0 for c in checks),
        warnings=tuple(warnings),
    )


def _why(missing: Sequence[DomainReading], reading: EnergyReading) -> str:
    if missing:
        return "; ".join(f"{d.label or d.name}: {d.reason or 'no reading'}" for d in missing)
    seen = ", ".join(d.label or d.name for d in reading.domains) or "nothing"
    return f"the sampler saw {seen}, and none of it is a device that the experiment used"


def _method(domains: Sequence[DomainReading]) -> EnergyMethod:
    methods = {d.method for d in domains}
    if "estimated" in methods:
        return "estimated"
    return "integrated" if "integrated" in methods else "counter"


def _breakdown(domains: Sequence[DomainReading], used: Sequence[DomainReading]) -> EnergyBreakdown:
    def total(kind: str) -> float | None:
        energies = [d.energy_j for d in used if d.kind == kind and d.energy_j is not None]
        return sum(energies) if energies else None

    return EnergyBreakdown(
        gpu_j=total("gpu"),
        cpu_j=total("cpu"),
        dram_j=total("dram"),
        other_j=total("other"),
        domains=[
            DomainEnergy(
                name=d.name,
                kind=d.kind,
                label=d.label,
                used=d in used,
                energy_j=d.energy_j,
                method=d.method,
                reason=d.reason,
                resolution_j=d.resolution_j,
                cross_check_j=d.cross_check_j,
                cross_check_method=d.cross_check_method,
                shared_with=list(d.shared_with),
            )
            for d in domains
        ],
    )
