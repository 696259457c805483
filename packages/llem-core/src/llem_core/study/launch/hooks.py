"""Registers the launcher of core."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from llem_core.contracts.config import Section
from llem_core.contracts.hookspecs import hookimpl
from llem_core.contracts.launcher import Launcher, LauncherSpec

LLEM_CONTRACT = 2


class LocalConfig(Section):
    """Where and how the runs of this machine get their processes."""

    slots: Annotated[int, Field(strict=True, ge=1, le=64)] = Field(
        1,
        description="Runs at the same time on this machine. More than one share its cores, memory "
        "and power, so each result warns of it; no two are given the same GPU.",
    )


def _local(section: Section | None) -> Launcher:
    from llem_core.study.launch.spawn import SpawnLauncher, shares_of_gpus

    assert isinstance(section, LocalConfig)
    if section.slots == 1:
        return SpawnLauncher()
    return SpawnLauncher(slots=section.slots, gpus=shares_of_gpus(section.slots))


@hookimpl
def llem_launchers() -> list[LauncherSpec]:
    """Name it."""
    summary = "A fresh process of this machine for each run."
    return [LauncherSpec("local", summary, _local, section=LocalConfig)]
