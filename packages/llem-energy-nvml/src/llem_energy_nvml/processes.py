"""Other processes on a GPU, whose energy the board cannot tell from ours."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path


def strangers(
    pids: Collection[int],
    at_start: Collection[int],
    own: int | None = None,
    proc: Path = Path("/proc"),
) -> tuple[str, ...]:
    """Name the processes on a device that are not of this one's family, as ``pid name``.

    In a container NVML tells the host's process numbers, this process's own among them, which
    cannot be told from a stranger's. So a number that this system does not know is a stranger if
    it was there before anything was loaded, and taken for our own otherwise.

    Args:
        pids: processes on the device now.
        at_start: those that were there when the sampler was started.
        own: the measured process; this one if not given.
        proc: the process file system.
    """
    own = os.getpid() if own is None else own
    family = set(_line(own, proc))
    found = []
    for pid in sorted(pids):
        if pid in family or own in _line(pid, proc):
            continue
        name = _name(pid, proc)
        if name is not None:
            found.append(f"{pid} {name}")
        elif pid in at_start:
            found.append(f"{pid} (of another container or user)")
    return tuple(found)


def _line(pid: int, proc: Path) -> list[int]:
    """The process and its ancestors, as far as the system tells."""
    line = [pid]
    while line[-1] > 1:
        try:
            stat = (proc / str(line[-1]) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        # The name, in parentheses, may hold spaces; the parent is the second field after it.
        line.append(int(stat.rpartition(")")[2].split()[1]))
    return line


def _name(pid: int, proc: Path) -> str | None:
    try:
        text = (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.strip()
