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
    until: str | None = Field(
        None,
        description="File that must be there before it generates; or a folder of tickets, of which "
        "each run takes one.",
    )


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
        while section.until and not _may_go_on(Path(section.until)):
            time.sleep(0.02)
        return super().generate(batch)  # type: ignore[arg-type]


def _may_go_on(until: Path) -> bool:
    if not until.is_dir():
        return until.exists()
    for ticket in until.iterdir():
        try:
            ticket.unlink()
        except FileNotFoundError:  # another run took it
            continue
        return True
    return False


def _create(workload: Workload) -> PatientBackend:
    return PatientBackend(workload)


@hookimpl
def llem_backends() -> list[object]:
    from dataclasses import replace

    return [replace(scripted_backend("patient", create=_create), section=PatientConfig)]
