"""Which machine this is: the driver's own report, torch's facts, versions, plugins that load."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from llem_core.environment import take_snapshot
from llem_core.plugins import plugins

from gpu_session.session import Session

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
    session.note("torch", json.loads(_told([sys.executable, "-c", _TORCH]).splitlines()[-1]))


def _samplers() -> dict[str, Any]:
    found = plugins().samplers
    return {name: found.get(name).availability().reason for name in found.names()}


def _told(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-1000:] or done.stdout[-1000:]}")
    return done.stdout
