"""Which domains of a reading belong to the experiment."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from llem_core.contracts.readings import DomainReading, EnergyReading


def is_used(
    domain: DomainReading,
    domains: Sequence[DomainReading],
    uuids: Collection[str],
    device_kind: str,
) -> bool:
    """Whether a domain is in the experiment's total.

    A GPU is, if the model computes on it; where the backend could not name its GPUs, a GPU
    that is the only one is. Host domains and other meters always are: what they power cannot
    be told apart.
    """
    if domain.kind != "gpu":
        return True
    if device_kind != "gpu":
        return False
    if uuids:
        return domain.name in uuids
    return sum(other.kind == "gpu" for other in domains) == 1


def used_domains(
    reading: EnergyReading, uuids: Collection[str], device_kind: str
) -> tuple[DomainReading, ...]:
    """The domains of a reading that are in the experiment's total."""
    every = reading.domains
    return tuple(d for d in every if is_used(d, every, uuids, device_kind))
