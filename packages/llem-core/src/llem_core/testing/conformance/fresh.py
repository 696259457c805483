"""What importing a plugin costs and prints, seen in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

# Whatever the core has loaded by the time that it looks at plugins is not the plugin's doing.
_PROGRAM = """
import importlib, json, sys, time
import llem_core.contracts, llem_core.plugins
def cost(names):
    started = time.process_time()
    for name in names:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if name != error.name and not name.startswith(f"{error.name}."):
                raise
            return None
        for hook in ("llem_backends", "llem_samplers", "llem_sinks", "llem_launchers"):
            getattr(module, hook, list)()
    return time.process_time() - started
base = time.process_time()
known = set(sys.modules)
spent = cost(sys.argv[2:])
new = sorted(set(sys.modules) - known)
with open(sys.argv[1], "w") as file:
    json.dump({"base_s": base, "spent_s": spent, "new": new}, file)
"""


@dataclass(frozen=True, slots=True)
class Import:
    """What importing modules did in a fresh interpreter.

    Attributes:
        base_s: CPU time that Python and the core itself had taken before (s).
        spent_s: CPU time that the import and the registration hooks took (s).
        modules: modules that were loaded.
        printed: what reached stdout or stderr.
        error: the end of its traceback, where it failed.
        not_found: whether there is no such module on the path.
    """

    base_s: float = 1.0
    spent_s: float = 0.0
    modules: tuple[str, ...] = ()
    printed: str = ""
    error: str | None = None
    not_found: bool = False

    @property
    def packages(self) -> set[str]:
        """Top-level names of what was loaded."""
        return {name.partition(".")[0] for name in self.modules}


def import_fresh(modules: Sequence[str], report: str) -> Import:
    """Import modules in an interpreter that has loaded nothing but the core.

    Args:
        modules: their names.
        report: path of a file that the interpreter may write its findings to.
    """
    done = subprocess.run(  # noqa: S603 - this very interpreter, with a fixed program
        [sys.executable, "-c", _PROGRAM, report, *modules],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    printed = done.stdout + done.stderr
    if done.returncode != 0:
        lines = printed.strip().splitlines() or [f"exit code {done.returncode}"]
        return Import(error=lines[-1])
    with open(report, encoding="utf-8") as file:  # noqa: PTH123 - a name is all that is at hand
        told = json.load(file)
    if told["spent_s"] is None:
        return Import(error=f"there is no module {' or '.join(modules)}", not_found=True)
    return Import(told["base_s"], told["spent_s"], tuple(told["new"]), printed)
