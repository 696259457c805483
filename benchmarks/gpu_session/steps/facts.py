"""Which machine this is: the driver's own report, torch's facts, versions, plugins that load."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from llem_core.environment import take_snapshot
from llem_core.plugins import plugins
from packaging.requirements import Requirement

from gpu_session.session import Session

OURS = (
    *("llem-core", "llem-cli", "llem-energy-nvml", "llem-pytorch"),
    *("pydantic", "pydantic-core", "transformers"),
)
"""Whose needs are looked at: the wheels are installed without asking."""

# In a process of its own: the trace needs one that has no context on the device yet.
_TORCH = """
import json, torch
facts = {"torch": torch.__version__, "cuda": torch.version.cuda, "devices": []}
facts["available"] = torch.cuda.is_available()
for index in range(torch.cuda.device_count()):
    found = torch.cuda.get_device_properties(index)
    names = ("name", "uuid", "major", "minor", "multi_processor_count", "total_memory",
             "L2_cache_size")
    facts["devices"].append({n: str(getattr(found, n, None)) for n in names})
print(json.dumps(facts))
"""


def run(session: Session) -> None:
    """Ask the driver, then torch, then our own snapshot of the environment."""
    told = _told(["nvidia-smi", "-q"])
    (session.raw / "nvidia-smi-q.txt").write_text(told, encoding="utf-8")
    session.note("nvidia_smi_lines", len(told.splitlines()))
    snapshot = take_snapshot()
    session.note("driver", snapshot.driver_version)
    session.note("gpus", [gpu.model_dump() for gpu in snapshot.gpus])
    session.note("packages", snapshot.packages)
    session.note("environment", snapshot.model_dump(mode="json"))
    known = plugins()
    session.note("backends", list(known.backends.names()))
    session.note("samplers", _samplers())
    session.note("plugin_problems", [str(problem) for problem in known.problems])
    session.note("unmet", list(unmet(OURS)))
    session.note("torch", json.loads(_told([sys.executable, "-c", _TORCH]).splitlines()[-1]))


def unmet(names: Sequence[str]) -> Iterator[str]:
    """What the installed distributions of these names need and do not find here."""
    for name in names:
        for text in requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            try:
                found = version(requirement.name)
            except PackageNotFoundError:
                yield f"{name} needs {requirement}, which is not installed"
                continue
            if not requirement.specifier.contains(found, prereleases=True):
                yield f"{name} needs {requirement}, and {found} is installed"


def _samplers() -> dict[str, Any]:
    found = plugins().samplers
    return {name: found.get(name).availability().reason for name in found.names()}


def _told(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-1000:] or done.stdout[-1000:]}")
    return done.stdout
