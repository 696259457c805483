"""A backend of a distribution of its own, which does on request what real ones do by mistake."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from llem_core.contracts import ModelInfo, Workload, hookimpl
from llem_core.testing import ScriptedBackend, ScriptedConfig, scripted_backend
from pydantic import Field

LLEM_CONTRACT = 2
SLEEPER = "import time; time.sleep(600)"
DAEMON = f"""
import os, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
print(flush=True)
{SLEEPER}
"""


class StudiousConfig(ScriptedConfig):
    """What to do, and how big a result to have."""

    action: str | None = Field(None, description="What to do instead of generating.")
    blob_bytes: int = Field(0, description="Size that the result is brought to.")
    note: str | None = Field(None, description="File that each step is noted in.")


class StudiousBackend(ScriptedBackend):
    def load(self) -> ModelInfo:
        info = super().load()
        assert isinstance(self.section, StudiousConfig)
        if self.section.blob_bytes:
            return replace(info, effective_settings={"blob": "x" * self.section.blob_bytes})
        return info

    def generate(self, batch: object) -> object:
        assert isinstance(self.section, StudiousConfig)
        if self.section.action == "daemon":
            _daemon(Path(self.section.note or ""))
        if self.section.note:
            with Path(self.section.note).open("a") as note:
                note.write(f"{os.getpid()} {os.getsid(0)} {'numpy' in sys.modules}\n")
        if self.section.action:
            ACTIONS[self.section.action]()
        return super().generate(batch)  # type: ignore[arg-type]


def _hang() -> None:
    subprocess.Popen([sys.executable, "-S", "-c", SLEEPER])
    subprocess.Popen([sys.executable, "-S", "-c", SLEEPER], start_new_session=True)
    time.sleep(600)


def _daemon(ready: Path) -> None:
    """Start a daemon that has nothing of where it came from but the test's mark; then hang."""
    started = subprocess.Popen(
        [sys.executable, "-S", "-c", DAEMON],
        env={"STUDIOUS_MARK": os.environ["STUDIOUS_MARK"]},
        stdout=subprocess.PIPE,
    )
    assert started.stdout is not None
    started.stdout.readline()
    started.wait()
    ready.with_suffix(".new").write_text(str(os.getpid()))
    ready.with_suffix(".new").rename(ready)
    time.sleep(600)


def _hang_in_c() -> None:
    ctypes.PyDLL(None).sleep(600)


def _print() -> None:
    print("printed by the plugin", flush=True)


def _crash() -> None:
    ctypes.string_at(0)


def _fork_and_die() -> None:
    if os.fork() == 0:
        time.sleep(600)
    os._exit(3)


def _fill() -> None:
    """Take more memory than a small container has, and hold it."""
    held = b"x" * (1 << 30)
    time.sleep(600)
    del held


def _linger() -> None:
    import threading

    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()


ACTIONS = {
    "hang": _hang,
    "hang_in_c": _hang_in_c,
    "sleep": lambda: time.sleep(600),
    "print": _print,
    "crash": _crash,
    "fork_and_die": _fork_and_die,
    "exit": lambda: os._exit(0),
    "memory": lambda: bytearray(1 << 60),
    "linger": _linger,
    "fill": _fill,
}


def _create(workload: Workload) -> StudiousBackend:
    return StudiousBackend(workload)


def _warm() -> None:
    import numpy  # noqa: F401, ICN001 - stands for an engine


@hookimpl
def llem_backends() -> list[object]:
    spec = scripted_backend("studious", create=_create)
    return [replace(spec, section=StudiousConfig, warm_import=_warm)]
