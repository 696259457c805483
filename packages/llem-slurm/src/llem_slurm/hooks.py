"""Registers the launcher; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llem_core.contracts import Launcher, LauncherSpec, Section, hookimpl

if TYPE_CHECKING:
    from llem_core.contracts import Availability

LLEM_CONTRACT = 2


def _availability() -> Availability:
    from llem_slurm.availability import availability

    return availability()


def _create(section: Section | None) -> Launcher:
    from llem_slurm.config import SlurmConfig
    from llem_slurm.launcher import SlurmLauncher

    assert section is None or isinstance(section, SlurmConfig)
    return SlurmLauncher(section or SlurmConfig())


@hookimpl
def llem_launchers() -> list[LauncherSpec]:
    """Name it."""
    from llem_slurm.config import SlurmConfig

    return [
        LauncherSpec(
            name="slurm",
            summary="A job of a SLURM cluster for each run.",
            create=_create,
            section=SlurmConfig,
            availability=_availability,
            grants_resources=True,
        )
    ]
