"""MIG: a board that is divided into instances, whose energy only the board as a whole tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

WHOLE_BOARD = "the whole board, all MIG instances together"
MIG_REFUSED = (
    "MIG is on, and the board's energy cannot be told apart between its instances; turn "
    "MIG off, or measure the whole board with `energy.sampler: zeus`"
)


@dataclass(frozen=True, slots=True)
class MigBoard:
    """What NVML tells of a board's MIG mode.

    Attributes:
        enabled: whether MIG is on.
        instances: UUIDs of its instances (``MIG-…``), as engines name the devices that they use.
    """

    enabled: bool = False
    instances: tuple[str, ...] = ()


def mig_board(binding: Any, handle: Any) -> MigBoard:
    """Ask NVML of a board's MIG mode and instances.

    Args:
        binding: the module ``pynvml``.
        handle: of the board. Boards without MIG, and handles of other makers, have none.
    """
    mode = _told(lambda: binding.nvmlDeviceGetMigMode(handle))
    if not mode or mode[0] != binding.NVML_DEVICE_MIG_ENABLE:
        return MigBoard()
    most = _told(lambda: binding.nvmlDeviceGetMaxMigDeviceCount(handle)) or 0
    parts = (_told(lambda i=i: _instance(binding, handle, i)) for i in range(most))  # type: ignore[misc]
    return MigBoard(True, tuple(part for part in parts if part))


def _instance(binding: Any, handle: Any, index: int) -> str:
    return str(
        binding.nvmlDeviceGetUUID(binding.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
    )


def _told(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except Exception:  # noqa: BLE001 - NVML's errors, and ctypes' for a handle of another maker
        return None
