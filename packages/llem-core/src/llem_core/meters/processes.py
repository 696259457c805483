"""Other processes on a GPU, whose energy the board cannot tell from ours."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

ELSEWHERE = "of another container or user"
_own: dict[str, set[int]] = {}
"""Numbers that came to a device while this process watched it, by the device's name."""
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""The machine's own process numbers (PROC_PID_INIT_INO of Linux); a container has others."""


def other_processes(
    pids: Collection[int],
    at_start: Collection[int],
    own: int | None = None,
    proc: Path = Path("/proc"),
) -> tuple[str, ...]:
    """Name the processes on a device that are not of this one's family, as ``pid name``.

    In a container NVML tells the machine's process numbers, this process's own among them. They
    cannot be looked up there: one that is found is by chance another process. So a number counts as
    another's if it was there before anything was loaded, and as our own otherwise.

    Args:
        pids: processes on the device now.
        at_start: those that were there when the sampler was started.
        own: the measured process; this one if not given.
        proc: the process file system.
    """
    own = os.getpid() if own is None else own
    # In a container a number that is found here is another process's by chance.
    known = _numbers_are_the_machines(proc)
    family = set(_line(own, proc))
    found = []
    for pid in sorted(pids):
        if pid in family or (known and own in _line(pid, proc)):
            continue
        name = _name(pid, proc) if known else None
        if name is not None:
            found.append(f"{pid} {name}")
        elif pid in at_start:
            found.append(f"{pid} ({ELSEWHERE})")
    return tuple(found)


class DeviceProcesses:
    """The processes on one device, as a sampler follows them from its start to its end.

    A context that this process made under an earlier sampler is there when the next one starts; it
    is told from another's by having come while the earlier one watched.

    Args:
        device: the device's name.
        pids: processes on it when the sampler is started.
        own: the measured process; this one if not given.
        proc: the process file system.
    """

    def __init__(
        self,
        device: str,
        pids: Collection[int],
        own: int | None = None,
        proc: Path = Path("/proc"),
    ) -> None:
        self._own, self._proc = own, proc
        self._came = _own.setdefault(device, set())
        self._came &= set(pids)  # a number that is gone may be given to another process
        self._at_start = set(pids) - self._came

    def others(self, pids: Collection[int]) -> tuple[str, ...]:
        """Those of others, as ``pid name``; see ``other_processes``.

        Args:
            pids: processes on the device during a window.
        """
        self._came |= set(pids) - self._at_start
        return other_processes(pids, self._at_start, self._own, self._proc)


def _numbers_are_the_machines(proc: Path) -> bool:
    try:
        return str((proc / "self" / "ns" / "pid").readlink()) == _FIRST_PID_NAMESPACE
    except OSError:  # a system without namespaces has one set of numbers
        return True


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
