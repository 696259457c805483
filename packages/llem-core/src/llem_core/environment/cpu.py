"""The host's processor and memory, from ``/proc`` and ``/sys`` where they exist."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from llem_core.results.environment import CpuRecord
from llem_core.units import BYTES_PER_KIB


def read_cpu() -> CpuRecord:
    """What the system tells; ``None`` for what it does not."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    memory_kib = _entry("/proc/meminfo", "MemTotal")
    return CpuRecord(
        model=_entry("/proc/cpuinfo", "model name") or platform.processor() or None,
        architecture=platform.machine(),
        logical_cores=os.cpu_count(),
        usable_cores=usable,
        governor=read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        memory_total_bytes=int(memory_kib.split()[0]) * BYTES_PER_KIB if memory_kib else None,
    )


def read_text(path: str | Path) -> str | None:
    """The stripped text of a small file; ``None`` if it cannot be read or is empty."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _entry(path: str, key: str) -> str | None:
    for line in (read_text(path) or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None
