"""Other processes on a GPU, whose energy a board's counter cannot tell from ours."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def list_strangers(
    list_pids: Callable[[], list[int]], own_pid: int | None = None, proc: Path = Path("/proc")
) -> tuple[str, ...]:
    """Name the processes on a device that are neither this one nor of its family.

    Args:
        list_pids: lists the processes on the device; raises when it cannot.
        own_pid: the process that is measured; this one when left out. Its ancestors and
            descendants are not named.
        proc: the process file system.

    Returns:
        ``pid name`` for each, sorted by pid; empty where they cannot be listed.
    """
    own = os.getpid() if own_pid is None else own_pid
    try:
        pids = set(list_pids())
    except Exception:  # noqa: BLE001 - a list that the driver refuses must not end a window
        return ()
    family = set(_ancestors(own, proc))
    strangers = [pid for pid in pids if pid not in family and own not in _ancestors(pid, proc)]
    return tuple(f"{pid} {_name(pid, proc)}" for pid in sorted(strangers))


def _ancestors(pid: int, proc: Path) -> list[int]:
    chain = []
    while pid > 0 and pid not in chain:
        chain.append(pid)
        try:
            stat = (proc / str(pid) / "stat").read_text()
        except OSError:
            break
        # The name, in parentheses, may hold spaces; the parent is the second field after it.
        pid = int(stat.rpartition(")")[2].split()[1])
    return chain


def _name(pid: int, proc: Path) -> str:
    try:
        return (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return "unknown"
