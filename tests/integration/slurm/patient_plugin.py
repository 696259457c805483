"""A backend that waits until it is told to go on, and says where it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

from llem_core.contracts import Workload, hookimpl
from llem_core.testing import ScriptedBackend, ScriptedConfig, scripted_backend
from pydantic import Field

LLEM_CONTRACT = 2
NOTED = ("SLURMD_NODENAME", "SLURM_GPUS_PER_NODE", "SETUP_RAN", "SLURM_JOB_ID")


class PatientConfig(ScriptedConfig):
    """What to wait for."""

    notes: str | None = Field(None, description="Folder for a note from each run.")
    until: str | None = Field(None, description="File that must be there before it generates.")


class PatientBackend(ScriptedBackend):
    def generate(self, batch: object) -> object:
        section = self.section
        assert isinstance(section, PatientConfig)
        if section.notes:
            facts = [os.environ.get(name, "") for name in NOTED]
            name = f"{time.time_ns()}-{os.getpid()}"
            hidden = Path(section.notes) / f".{name}"
            hidden.write_text("|".join(facts))
            hidden.rename(hidden.with_name(name))
        while section.until and not Path(section.until).exists():
            time.sleep(0.02)
        return super().generate(batch)  # type: ignore[arg-type]


def _create(workload: Workload) -> PatientBackend:
    return PatientBackend(workload)


@hookimpl
def llem_backends() -> list[object]:
    from dataclasses import replace

    return [replace(scripted_backend("patient", create=_create), section=PatientConfig)]
