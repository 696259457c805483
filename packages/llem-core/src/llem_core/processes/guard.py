"""Leaves no process of an experiment behind, whoever dies first.

A spawned worker divides into two processes. One measures. The other one, its keeper, does nothing
but wait: for the end of the first, for the death of the study, or for a SIGTERM. Then it kills
everything that the experiment has started, and ends as the experiment ended.

On Linux a descendant whose parent has died becomes a child of the keeper, so that nothing gets out
of its reach, and it is done when it has no children left. Where the keeper itself is killed, the
study and the worker find the same processes: all carry a token in their environment or descend
from one that does.

Run as a program, this module guards an engine's process for a caller that has no keeper: it waits
until the caller ends, even by SIGKILL, and then kills what carries its token. It imports nothing
of the project.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

MARKER = "_LLEM_WORKER"
"""The environment variable that holds the token."""

GIVE_UP_S = 10.0
ENDED = b"."
"""What tells a guard that all is over."""
_POLL_S = 0.005
_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    session: int


def divide(token: str, study: int, study_ends: int) -> None:
    """Fork: the child, which is to measure, returns; this process becomes its keeper.

    Call it before any thread is started.

    Args:
        token: what this process and its descendants carry in their environment.
        study: process id of the study.
        study_ends: a descriptor that becomes readable when the study ends.
    """
    _adopt_orphans()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    reader, writer = os.pipe()
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    worker = os.fork()
    if worker:
        os.close(reader)
        _keep(token, worker, study, study_ends, woken, wakes)
    for end in (writer, woken, wakes):
        os.close(end)
    _adopt_orphans()
    threading.Thread(
        target=_die_with_keeper, args=(token, reader), name="llem-keeper-watch", daemon=True
    ).start()


def kill_all(token: str) -> None:
    """Kill every process with this token, and all that descend from one; wait for their end.

    The caller is spared. They are stopped before they are killed, so that none starts another
    one meanwhile. On a system without ``/proc`` nothing is found.

    Args:
        token: the token, or the beginning of it.
    """
    give_up_s = time.monotonic() + GIVE_UP_S
    while time.monotonic() < give_up_s:
        found: set[int] = set()
        while new := _family(token) - found - {os.getpid()}:
            _signal(new, signal.SIGSTOP)
            found |= new
        if not found:
            return
        _signal(found, signal.SIGKILL)
        time.sleep(_POLL_S)


def descendants(pids: set[int]) -> set[int]:
    """These processes, and all that descend from them or are in a session of theirs."""
    return _grown(set(pids), _processes()) if pids else set()


def start_guard(token: str, then: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start the program that kills what has this token once this process has ended.

    It is told to do so earlier, and ended, by ``communicate()``, which closes its input.

    Args:
        token: what the processes carry.
        then: a command that it runs after that, such as one that removes a container, unless
            ``communicate(ENDED)`` says that there is nothing left to remove.
    """
    import subprocess

    return subprocess.Popen(  # noqa: S603 - this Python, and this very file
        [sys.executable, "-I", "-S", __file__, token, str(os.getpid()), *then],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def death_of(pid: int) -> int | None:
    """A descriptor that becomes readable when a process ends; ``None`` where there is none.

    A pipe that only this process holds would do, but for the copies of it that its forks keep.
    """
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # another system, an old kernel, or it has ended
        return None


def _keep(token: str, worker: int, study: int, study_ends: int, woken: int, wakes: int) -> NoReturn:
    """Wait until the worker or the study has ended, or for SIGTERM; kill all; end as it ended."""
    ends = select.poll()
    death = death_of(study)
    for end in (study_ends, woken, death):
        if end is not None:
            ends.register(end, select.POLLIN)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # it only wakes
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD, signal.SIGTERM})
    status: int | None = None
    over = os.getppid() != study
    while not over:
        over = any(end != woken for end, _ in ends.poll())
        over = over or signal.SIGTERM in _read(woken)
        status, _ = _reap(worker, status)
        over = over or status is not None
    status = _clear(token, worker, status)
    code = os.waitstatus_to_exitcode(status) if status is not None else -signal.SIGKILL
    if code < 0:
        with contextlib.suppress(OSError, ValueError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        _no_core()
        os.kill(os.getpid(), -code)
    os._exit(abs(code))


def _clear(token: str, worker: int, status: int | None) -> int | None:
    """Kill until no child is left; orphans become children. Gives the worker's exit status."""
    give_up_s = time.monotonic() + GIVE_UP_S
    left = True
    while left and time.monotonic() < give_up_s:
        kill_all(token)
        if status is None:
            _signal({worker}, signal.SIGKILL)  # a system without /proc
        status, left = _reap(worker, status)
        if left:
            time.sleep(_POLL_S)
    return status


def _reap(worker: int, status: int | None) -> tuple[int | None, bool]:
    """Take note of children that have ended.

    Returns:
        The worker's exit status, if it is known by now, and whether any child is left.
    """
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status, False
        if not pid:
            return status, True
        if pid == worker:
            status = ended


def _die_with_keeper(token: str, keeper_ends: int) -> None:
    """Run in the worker: its keeper was killed, so kill everything and this process."""
    os.read(keeper_ends, 1)
    kill_all(token)
    os.kill(os.getpid(), signal.SIGKILL)


def _adopt_orphans() -> None:
    """Orphans among the descendants of this process become its children."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _no_core() -> None:
    """The keeper repeats a signal that the worker died of, and there is nothing to debug in it."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        return os.read(descriptor, 4096)
    return b""


def _family(token: str) -> set[int]:
    needle = f"{MARKER}={token}".encode()
    processes = _processes()
    return _grown({process.pid for process in processes if _has(process.pid, needle)}, processes)


def _grown(family: set[int], processes: list[_Process]) -> set[int]:
    """The processes with all that descend from one, or are in the session of one."""
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
    """Wait until our owner ends or closes our standard input, then kill what has its token.

    Arguments: the token, the process id of the owner, which holds our standard input open, and
    the command that is run after that, if any.
    """
    owner_id, then = int(sys.argv[2]), sys.argv[3:]
    ends = select.poll()
    ends.register(0, select.POLLIN)
    owner = death_of(owner_id)
    if owner is not None and os.getppid() == owner_id:
        ends.register(owner, select.POLLIN)
    ends.poll()
    over = _read(0) == ENDED
    kill_all(sys.argv[1])
    if then and not over:
        _run_often(then)
    if os.getppid() != owner_id:
        # A process that was about to start when its owner died may have its token only now.
        time.sleep(0.1)
        kill_all(sys.argv[1])


def _run_often(command: list[str]) -> None:
    """Run a command again and again for a second: what it ends may have been about to begin."""
    import subprocess

    give_up_s = time.monotonic() + 1.0
    while time.monotonic() < give_up_s:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            quiet = subprocess.DEVNULL
            subprocess.run(command, stdout=quiet, stderr=quiet, timeout=GIVE_UP_S, check=False)  # noqa: S603
        time.sleep(0.1)


if __name__ == "__main__":
    main()
