"""Whether this machine can submit jobs."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

from llem_core.contracts import Availability

_COMMANDS = ("sbatch", "squeue", "scancel", "srun")


def availability() -> Availability:
    """Look for SLURM's commands and for submitit; asks no controller."""
    missing = [name for name in _COMMANDS if shutil.which(name) is None]
    if missing:
        return Availability(
            False,
            f"{', '.join(missing)} not found in PATH; run it on a login node of the cluster",
        )
    if find_spec("submitit") is None:
        return Availability(False, "submitit is not installed; pip install llem-slurm")
    return Availability(True, f"submits with {shutil.which('sbatch')}")
