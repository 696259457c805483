"""Which GPUs CUDA shows to this process: ``CUDA_VISIBLE_DEVICES`` in all its forms.

Indices, UUIDs and unambiguous beginnings of UUIDs, MIG instances, an empty value, and lists that
an invalid entry cuts short or a repeated one empties (CUDA C++ Programming Guide, "CUDA
Environment Variables").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VARIABLE = "CUDA_VISIBLE_DEVICES"
ORDER_VARIABLE = "CUDA_DEVICE_ORDER"
_NUMBER = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, slots=True)
class VisibleGpus:
    """The GPUs that CUDA shows.

    Attributes:
        uuids: theirs, in CUDA's order; ``None`` where it cannot be told.
        note: what is odd about the variable, as a sentence.
        mig: whether MIG instances are named, of which only the board can be measured.
    """

    uuids: tuple[str, ...] | None
    note: str | None = None
    mig: bool = False


def visible_gpus(
    environ: Mapping[str, str], uuids: Sequence[str], names: Sequence[str]
) -> VisibleGpus:
    """Resolve ``CUDA_VISIBLE_DEVICES`` against the GPUs that NVML shows.

    Args:
        environ: has it, and ``CUDA_DEVICE_ORDER``.
        uuids, names: of all GPUs in NVML's order, which is that of the PCI bus; one that cannot be
            opened keeps its place, without a name.
    """
    value, order = environ.get(VARIABLE), environ.get(ORDER_VARIABLE)
    if value is None:
        return VisibleGpus(tuple(uuids))
    entries = [entry.strip() for entry in value.split(",")]
    if entries[0].startswith("MIG-"):
        return _instances(entries[0], uuids)
    if entries[0].startswith("GPU-"):
        return _chosen(entries, [_by_prefix(entry, uuids) for entry in entries])
    # CUDA numbers the fastest GPU first unless it is told otherwise; equal ones stay in bus order.
    if order != "PCI_BUS_ID" and len(set(filter(None, names))) > 1 and value.strip():
        return VisibleGpus(
            None,
            f"{VARIABLE}={value} counts GPUs of different kinds in CUDA's own order, which NVML "
            f"does not know: set {ORDER_VARIABLE}=PCI_BUS_ID, or name them by UUID",
        )
    return _chosen(entries, [_by_index(entry, uuids) for entry in entries])


def _chosen(entries: Sequence[str], found: Sequence[str | None]) -> VisibleGpus:
    kept: list[str] = []
    for position, (entry, uuid) in enumerate(zip(entries, found, strict=True)):
        if uuid is None:
            if not any(entries) or entry == "-1":  # the usual ways to hide them
                return VisibleGpus(tuple(kept))
            ignored = "" if position == len(entries) - 1 else " and what follows it"
            return VisibleGpus(
                tuple(kept), f"{VARIABLE}: {entry!r} is no GPU here; CUDA ignores it{ignored}"
            )
        if uuid in kept:
            return VisibleGpus(
                (), f"{VARIABLE}: {entry!r} names a GPU twice, for which CUDA shows none at all"
            )
        kept.append(uuid)
    return VisibleGpus(tuple(kept))


def _by_index(entry: str, uuids: Sequence[str]) -> str | None:
    # CUDA reads the digits that an entry begins with, as C's strtol does.
    number = _NUMBER.match(entry)
    index = int(number.group()) if number else -1
    return uuids[index] if 0 <= index < len(uuids) else None


def _by_prefix(entry: str, uuids: Sequence[str]) -> str | None:
    if not entry.startswith("GPU-") or entry == "GPU-":
        return None
    matching = [uuid for uuid in uuids if uuid.lower().startswith(entry.lower())]
    return matching[0] if len(matching) == 1 else None


def _instances(entry: str, uuids: Sequence[str]) -> VisibleGpus:
    # The older form MIG-GPU-<uuid>/<instance>/<part> names its board; MIG-<uuid> does not.
    board = entry.removeprefix("MIG-").split("/")[0]
    uuid = _by_prefix(board, uuids)
    note = f"{VARIABLE} names the MIG instance {entry}, whose energy NVML cannot tell"
    return VisibleGpus((uuid,) if uuid else None, note, mig=True)
