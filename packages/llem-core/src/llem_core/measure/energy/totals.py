"""From a sampler's reading to the energy of record: which domains belong to the experiment, their
sum, and the reason where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llem_core.contracts.sampler import DomainReading, EnergyMethod, EnergyReading, UsedDevices
from llem_core.results.energy import DomainEnergy, EnergyBreakdown


def is_used(domain: DomainReading, domains: Sequence[DomainReading], used: UsedDevices) -> bool:
    """Whether the experiment used a domain.

    ==============================================  =====================================
    the domain                                      is used
    ==============================================  =====================================
    of a machine that the model does not compute on never
    no GPU: host, memory, wall                      always; its power cannot be told apart
    a GPU that the backend names, or one of others  if it is named
    the only GPU, or the only visible one           if the model runs on a GPU
    one of several visible GPUs, nothing named      if the user hid others; some may idle
    ==============================================  =====================================
    """
    if domain.host not in used.hosts:
        return False
    if domain.kind != "gpu":
        return True
    if used.kind != "gpu":
        return False
    if used.uuids:
        return not used.uuids.isdisjoint((domain.name, *domain.parts))
    gpus = [other for other in domains if other.kind == "gpu" and other.host == domain.host]
    if len(gpus) == 1:
        return True
    hidden = any(other.visible is False for other in gpus)
    alone = sum(other.visible is True for other in gpus) == 1
    return domain.visible is True and (alone or hidden)


def used_domains(reading: EnergyReading, used: UsedDevices) -> tuple[DomainReading, ...]:
    """The domains of a reading that are in the experiment's total.

    Measured and estimated ones are never summed: an estimate is in it only where nothing measures
    the device that the model computes on.
    """
    mine, by_estimate = _mine(reading, used)
    return tuple(d for d in mine if (d.method == "estimated") == by_estimate)


def _mine(reading: EnergyReading, used: UsedDevices) -> tuple[list[DomainReading], bool]:
    """The domains that the experiment used, and whether its total is an estimate."""
    every = reading.domains
    mine = [d for d in every if is_used(d, every, used)]
    computing = [d for d in mine if d.kind in {used.kind, "other"}] or mine
    return mine, all(d.method == "estimated" for d in computing)


def _estimated_beside(reading: EnergyReading, used: UsedDevices) -> tuple[DomainReading, ...]:
    """Estimated domains of the experiment that are not in its total."""
    mine, by_estimate = _mine(reading, used)
    return () if by_estimate else tuple(d for d in mine if d.method == "estimated")


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
    devices: UsedDevices,
) -> RecordedEnergy:
    """Sum the domains in use.

    The total is ``None`` if a device that computes has no reading, or is not seen. A host domain
    without one is left out of the total and of its scope, with a warning.

    Args:
        reading: of the measured window; ``None`` where nothing measured.
        reason: why there is none.
        devices: those that the experiment used.
    """
    if reading is None:
        return RecordedEnergy(None, reason or "nothing measured energy")
    used = used_domains(reading, devices)
    # A meter of the whole machine holds the device; the host's domains alone do not.
    computing = [d for d in used if d.kind == devices.kind] or [
        d for d in used if d.kind == "other"
    ]
    missing = [d for d in computing if d.energy_j is None]
    names = {name for domain in computing for name in (domain.name, *domain.parts)}
    whole_machine = any(domain.kind == "other" for domain in computing)
    unseen = [] if whole_machine or devices.kind != "gpu" else sorted(devices.uuids - names)
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
    breakdown = _breakdown(reading.domains, used, _estimated_beside(reading, devices))
    if missing or unseen or not computing:
        return RecordedEnergy(
            None, _why(missing, unseen, reading), breakdown=breakdown, warnings=tuple(warnings)
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


def _why(missing: Sequence[DomainReading], unseen: Sequence[str], reading: EnergyReading) -> str:
    if missing:
        return "; ".join(f"{d.label or d.name}: {d.reason or 'no reading'}" for d in missing)
    seen = ", ".join(d.label or d.name for d in reading.domains) or "nothing"
    if unseen:
        return f"the sampler saw {seen}, and not {', '.join(unseen)}, which the experiment used"
    if sum(d.kind == "gpu" for d in reading.domains) > 1:
        return (
            f"the sampler saw {seen}, and the backend does not say which of them it used; name "
            "them in CUDA_VISIBLE_DEVICES and use the sampler nvml"
        )
    return f"the sampler saw {seen}, and none of it is a device that the experiment used"


def _method(domains: Sequence[DomainReading]) -> EnergyMethod:
    methods = {d.method for d in domains}
    if "estimated" in methods:
        return "estimated"
    return "integrated" if "integrated" in methods else "counter"


def _breakdown(
    domains: Sequence[DomainReading],
    used: Sequence[DomainReading],
    beside: Sequence[DomainReading],
) -> EnergyBreakdown:
    estimates = [d.energy_j for d in beside if d.energy_j is not None]

    def total(kind: str) -> float | None:
        energies = [d.energy_j for d in used if d.kind == kind and d.energy_j is not None]
        return sum(energies) if energies else None

    return EnergyBreakdown(
        gpu_j=total("gpu"),
        cpu_j=total("cpu"),
        dram_j=total("dram"),
        other_j=total("other"),
        estimated_j=sum(estimates) if estimates else None,
        domains=[
            DomainEnergy(
                name=d.name,
                kind=d.kind,
                label=d.label,
                host=d.host,
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
