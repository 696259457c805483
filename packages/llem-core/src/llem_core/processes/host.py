"""The host's name for its processor, and memory of processes, as Linux tells them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llem_core.units import BYTES_PER_KIB

PEAK_SOURCE = "VmHWM of /proc/<pid>/status (resident memory of the whole process)"


def cpu_name() -> str:
    """Product name of the processor."""
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    import platform  # slow to import, and needed where Linux does not tell

    return platform.processor() or platform.machine()


def available_bytes() -> int | None:
    """Memory of the host that new work can have; ``None`` where the system does not tell."""
    return _bytes("/proc/meminfo", "MemAvailable")


def reset_peaks(pids: Iterable[int]) -> bool:
    """Count the peak resident memory of processes afresh; whether that worked for all."""
    worked = [_reset(pid) for pid in pids]
    return all(worked)


def peak_bytes(pids: Iterable[int]) -> int | None:
    """Sum of the peak resident memory of processes since ``reset_peaks``.

    Pages that they share are counted for each. ``None`` where the system does not tell of one.
    """
    peaks = [_bytes(f"/proc/{pid}/status", "VmHWM") for pid in pids]
    return None if None in peaks else sum(peak for peak in peaks if peak is not None)


def _reset(pid: int) -> bool:
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _bytes(path: str, key: str) -> int | None:
    found = (int(line.split()[1]) for line in _lines(path) if line.startswith(f"{key}:"))
    kib = next(found, None)
    return None if kib is None else kib * BYTES_PER_KIB


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
