"""Runs a program, and all that it starts, over simulated GPUs.

    python -m llem_energy_nvml.testing.run scenario.yaml -- llem run -b scripted ...

Every Python process of the program sees the scenario's devices through ``pynvml``; a small
``nvidia-smi`` on its path shows the same ones; and the backend ``scripted`` of
``llem_core.testing`` is installed for it, whose section names the GPUs that it claims to use
(``scripted.gpu_uuids``). Names and driver version say that all of it is simulated.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from llem_energy_nvml.testing.scenario import ORIGIN_VARIABLE, VARIABLE, load_scenario

# Python imports a module of this name at its start, from wherever it is found.
_START_UP = "from llem_energy_nvml.testing.scenario import activate\n\nactivate()\n"
_METADATA = "Metadata-Version: 2.1\nName: llem-simulated\nVersion: 0\n"
_ENTRY_POINTS = "[llem]\nscripted = llem_energy_nvml.testing.plugin\n"
_SMI = """#!{python}
import sys
if any(argument.startswith("--query-gpu") for argument in sys.argv):
    print({rows!r})
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; its exit code is ours."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) < 3 or given[1] != "--":
        sys.stderr.write(
            "usage: python -m llem_energy_nvml.testing.run SCENARIO -- PROGRAM ARGUMENTS\n"
        )
        return 2
    scenario = Path(given[0]).resolve()
    load_scenario(scenario)
    with tempfile.TemporaryDirectory(prefix="llem-simulated-") as folder:
        environment = _furnish(Path(folder), scenario)
        # The program is the user's own command line.
        return subprocess.run(given[2:], env=environment, check=False).returncode  # noqa: S603


def _furnish(folder: Path, scenario: Path) -> dict[str, str]:
    """Lay out what the program is to find, and give its environment."""
    (folder / "sitecustomize.py").write_text(_START_UP, encoding="utf-8")
    distribution = folder / "llem_simulated-0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text(_METADATA, encoding="utf-8")
    (distribution / "entry_points.txt").write_text(_ENTRY_POINTS, encoding="utf-8")
    programs = folder / "bin"
    programs.mkdir()
    command = programs / "nvidia-smi"
    command.write_text(_SMI.format(python=sys.executable, rows=_rows(scenario)), encoding="utf-8")
    command.chmod(0o755)
    before = os.environ
    return {
        **before,
        VARIABLE: str(scenario),
        ORIGIN_VARIABLE: repr(time.monotonic()),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), before.get("PYTHONPATH")))),
        "PATH": os.pathsep.join(filter(None, (str(programs), before.get("PATH")))),
    }


def _rows(scenario: Path) -> str:
    """What the driver's own command would tell of the devices."""
    gpus, version = load_scenario(scenario)
    return "\n".join(
        f"{index}, {gpu.name}, {gpu.uuid}, {version}, 81920, {gpu.power_limit_w:.2f}, Default, "
        f"{'Enabled' if gpu.mig else 'Disabled'}, Enabled"
        for index, gpu in enumerate(gpus)
    )


if __name__ == "__main__":
    sys.exit(main())
