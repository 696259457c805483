"""Memory of this process and of the host (Linux)."""

from __future__ import annotations

from pathlib import Path

from llem_core.contracts import MemoryReading
from llem_core.units import BYTES_PER_KIB

_SOURCE = "VmHWM of /proc/self/status (resident memory of the whole process)"


def available_bytes() -> int | None:
    """Memory that new work can have; ``None`` where the system does not tell."""
    return _read("/proc/meminfo", "MemAvailable")


def reset_peak() -> bool:
    """Start counting this process's peak afresh; whether that worked."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak(was_reset: bool) -> MemoryReading:
    """The peak since ``reset_peak``; null where it did not work."""
    if not was_reset:
        reason = "the system does not let a process count its peak memory afresh"
        return MemoryReading(None, _SOURCE, reason)
    size = _read("/proc/self/status", "VmHWM")
    reason_why = "the system does not tell a process's peak memory" if size is None else None
    return MemoryReading(size, _SOURCE, reason_why)


def _read(path: str, key: str) -> int | None:
    try:
        lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) for line in lines if line.startswith(f"{key}:")]
    return sizes[0] * BYTES_PER_KIB if sizes else None
