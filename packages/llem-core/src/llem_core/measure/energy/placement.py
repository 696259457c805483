"""Where a loaded model computes: which processes are its own, and whether it is here at all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from llem_core.contracts.backend import ModelInfo
from llem_core.contracts.sampler import EnergyReading
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


def elsewhere(infos: Sequence[ModelInfo]) -> str | None:
    """Why nothing here can have measured the model's energy; ``None`` if it is on this host."""
    hosts = sorted({device.host for info in infos for device in info.devices if device.host})
    if not hosts:
        return None
    return f"the model computes on {', '.join(hosts)}, whose energy nothing here measures"


def _pid(other: str) -> int:
    """The process id of ``pid name``."""
    number = other.partition(" ")[0]
    return int(number) if number.isdigit() else 0
