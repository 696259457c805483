"""Leaves no process of an experiment behind, whoever dies first.

Every worker carries a token in its environment, which all that it starts inherit. This module
finds the processes with a token, in whatever group and session, and their descendants. Run as a
program it waits until the study's process ends, even by SIGKILL, and then kills what is left of
the study. A thread in the worker could not do that
while a library holds the interpreter.

It is run without the project on its path, and therefore imports nothing of it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from dataclasses import dataclass

MARKER = "_LLEM_WORKER"
"""The environment variable that holds the token."""

_GIVE_UP_S = 10.0
_POLL_S = 0.005


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    session: int


def kill_all(token: str) -> None:
    """Kill every process with this token, and all that descend from one; wait for their end.

    The caller is spared. They are stopped before they are killed, so that none starts another
    one meanwhile. On a system without ``/proc`` nothing is found.

    Args:
        token: the token, or the beginning of it.
    """
    give_up_s = time.monotonic() + _GIVE_UP_S
    while time.monotonic() < give_up_s:
        found: set[int] = set()
        while new := _family(token) - found - {os.getpid()}:
            _signal(new, signal.SIGSTOP)
            found |= new
        if not found:
            return
        _signal(found, signal.SIGKILL)
        time.sleep(_POLL_S)


def death_of(pid: int) -> int | None:
    """A descriptor that becomes readable when a process ends; ``None`` where there is none.

    A pipe that only this process holds would do, but for the copies of it that its forks keep.
    """
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # another system, an old kernel, or it has ended
        return None


def _family(token: str) -> set[int]:
    needle = f"{MARKER}={token}".encode()
    processes = _processes()
    family = {process.pid for process in processes if _has(process.pid, needle)}
    grown = True
    while grown:
        more = {p.pid for p in processes if p.parent in family or p.session in family}
        grown = not more <= family
        family |= more
    return family


def _has(pid: int, needle: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - no pathlib: start fast
            return needle in file.read()
    except OSError:  # it has ended
        return False


def _processes() -> list[_Process]:
    """Living processes of this user."""
    found = []
    user = os.geteuid()
    with contextlib.suppress(OSError), os.scandir("/proc") as entries:
        for entry in entries:
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if entry.stat().st_uid != user:
                    continue
                with open(f"/proc/{entry.name}/stat", "rb") as file:  # noqa: PTH123
                    # The name in parentheses may hold anything.
                    fields = file.read().rpartition(b")")[2].split()
                if fields[0] not in {b"Z", b"X"}:
                    found.append(_Process(int(entry.name), int(fields[1]), int(fields[3])))
    return found


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def main() -> None:
    """Wait for the end of the study, or of its process, then kill what has its token.

    Arguments: the token, and the process of the study, which holds our standard input open.
    """
    ends = select.poll()
    ends.register(0, select.POLLIN)
    study = death_of(int(sys.argv[2]))
    if study is not None and os.getppid() == int(sys.argv[2]):
        ends.register(study, select.POLLIN)
        ends.poll()
    else:
        os.read(0, 1)
    kill_all(sys.argv[1])
    if os.getppid() != int(sys.argv[2]):
        # A worker that was about to start when its study died may have its token only now.
        time.sleep(0.1)
        kill_all(sys.argv[1])


if __name__ == "__main__":
    main()
