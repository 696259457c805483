"""Where a loaded model computes: which processes are its own, and whether it is here at all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from llem_core.contracts.backend import DeviceInfo, ModelInfo
from llem_core.contracts.sampler import DomainReading, EnergyReading
from llem_core.processes.guard import descendants

RESIDENT = (
    "the model was loaded before this run began, so there is no idle power without it: start the "
    "server for the run, or compare with the loaded baseline"
)


def own_processes(infos: Sequence[ModelInfo]) -> set[int]:
    """The processes of the engines, with all that descend from them now."""
    return descendants({pid for info in infos for pid in info.process_ids})


def without_own(reading: EnergyReading | None, own: Collection[int]) -> EnergyReading | None:
    """A reading in which the engine's own processes are no other users of the device."""
    if reading is None or not own:
        return reading
    domains = tuple(
        replace(d, shared_with=tuple(other for other in d.shared_with if _pid(other) not in own))
        for d in reading.domains
    )
    return replace(reading, domains=domains)


def elsewhere(infos: Sequence[ModelInfo], reading: EnergyReading | None) -> str | None:
    """Why nothing can have measured the model's energy on another host.

    Args:
        infos: of the loaded models.
        reading: of the measured window; the hosts of its domains are those that are read.

    Returns:
        ``None`` if the model is on this host, or a sampler reads the one that it is on.
    """
    away = [device for info in infos for device in info.devices if device.host]
    domains = () if reading is None else reading.domains
    unread = sorted({d.host for d in away if d.host} - {domain.host for domain in domains})
    if unread:
        return (
            f"the model computes on {', '.join(unread)}, whose energy nothing here measures"
            f"{_other_name(away, domains)}"
        )
    for device in away:
        kinds = {domain.kind for domain in domains if domain.host == device.host}
        if device.uuid is None and kinds == {"gpu"}:
            return (
                f"a sampler reads the GPUs of {device.host}, and the backend does not say which of "
                "them the model computes on; name their UUIDs (`server.devices`)"
            )
    return None


def _other_name(away: Sequence[DeviceInfo], domains: Sequence[DomainReading]) -> str:
    """What is wrong where a sampler reads the very device, and calls its machine something else."""
    uuids = {device.uuid for device in away if device.uuid}
    found = next((d for d in domains if not uuids.isdisjoint((d.name, *d.parts))), None)
    if found is None:
        return ""
    host = found.host or "this machine"
    return (
        f"; the sampler reads {found.name} as one of {host}, so give the machine the same name in "
        "the sections of the backend and of the sampler (`host`)"
    )


def _pid(other: str) -> int:
    """The process id of ``pid name``."""
    number = other.partition(" ")[0]
    return int(number) if number.isdigit() else 0
