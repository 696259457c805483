"""A backend whose every step may be its last: it does what the harness has put on its list.

The list is a folder of files named ``{number}_{step}_{fault}``; the one that is renamed first is
taken, so that every fault happens once.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from multiprocessing import resource_tracker
from pathlib import Path

from llem_core.contracts import hookimpl
from llem_core.testing import ScriptedBackend, ScriptedConfig, scripted_backend
from pydantic import Field

LLEM_CONTRACT = 2

SLEEPER = "import time; time.sleep(600)"
DAEMON = f"""
import os
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
{SLEEPER}
"""


class FaultyConfig(ScriptedConfig):
    """Tells experiments apart."""

    variant: int = Field(0, description="Which experiment.")


class FaultyBackend(ScriptedBackend):
    def _step(self, stage: str) -> None:
        plan = os.environ.get("FAULT_PLAN")
        if plan:
            self._suffer(Path(plan), stage)
        super()._step(stage)  # type: ignore[arg-type]

    def _suffer(self, plan: Path, stage: str) -> None:
        for path in sorted(plan.glob(f"*_{stage}_*")):
            try:
                path.rename(plan / "done" / path.name)
            except FileNotFoundError:
                continue
            FAULTS[path.name.split("_", 2)[2]]()
            return


def sigkill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sigsegv() -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)
    ctypes.string_at(0)


def memory_error() -> None:
    raise MemoryError("simulated")


def memory_limit() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 24), -1))
    bytearray(1 << 30)


def exit_0() -> None:
    os._exit(0)


def leave() -> None:
    sys.exit(0)


def half_message() -> None:
    """Writes half a result into every pipe that is written to, and dies."""
    tracker = resource_tracker._resource_tracker._fd  # type: ignore[attr-defined]
    for descriptor in range(3, 256):
        try:
            is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
            if is_pipe and descriptor != tracker:
                os.write(descriptor, b'{"protocol":1,"kind":"LaunchSuccess","result_f')
        except OSError:
            continue
    sigkill()


def garbage() -> None:
    """Writes what is no message, and dies with an exit code of 0."""
    tracker = resource_tracker._resource_tracker._fd  # type: ignore[attr-defined]
    for descriptor in range(3, 256):
        try:
            is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
            if is_pipe and descriptor != tracker:
                os.write(descriptor, b"\xff\x00{\n[1]\n\n")
        except OSError:
            continue
    exit_0()


def hang() -> None:
    time.sleep(600)


def hang_in_c() -> None:
    """Hangs without letting any other thread of this process run."""
    ctypes.PyDLL(None).sleep(600)


def hang_with_children() -> None:
    subprocess.Popen([sys.executable, "-S", "-c", SLEEPER])
    subprocess.Popen([sys.executable, "-S", "-c", SLEEPER], start_new_session=True)
    # A daemon that remembers nothing of where it came from but its parent.
    mark_alone = {"FAULT_MARK": os.environ["FAULT_MARK"]}
    subprocess.Popen([sys.executable, "-S", "-c", DAEMON], env=mark_alone)
    time.sleep(600)


def orphans() -> None:
    """Leaves children behind, and dies."""
    subprocess.Popen([sys.executable, "-S", "-c", SLEEPER], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    sigkill()


def raises() -> None:
    raise RuntimeError("simulated " * 20_000)


FAULTS = {
    "sigkill": sigkill,
    "sigsegv": sigsegv,
    "memory-error": memory_error,
    "memory-limit": memory_limit,
    "exit-0": exit_0,
    "sys-exit": leave,
    "half-message": half_message,
    "garbage": garbage,
    "hang": hang,
    "hang-in-c": hang_in_c,
    "hang-with-children": hang_with_children,
    "orphans": orphans,
    "raises": raises,
}


def _create(workload: object) -> FaultyBackend:
    return FaultyBackend(workload)  # type: ignore[arg-type]


@hookimpl
def llem_backends() -> list[object]:
    spec = scripted_backend("faulty", create=_create)
    from dataclasses import replace

    return [replace(spec, section=FaultyConfig)]
