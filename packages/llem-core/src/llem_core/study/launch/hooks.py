"""Registers the launcher of core."""

from __future__ import annotations

from llem_core.contracts.config import Section
from llem_core.contracts.hookspecs import hookimpl
from llem_core.contracts.launcher import Launcher, LauncherSpec

LLEM_CONTRACT = 2


def _local(section: Section | None) -> Launcher:
    from llem_core.study.launch.spawn import SpawnLauncher

    del section
    return SpawnLauncher()


@hookimpl
def llem_launchers() -> list[LauncherSpec]:
    """Name it."""
    return [LauncherSpec("local", "A fresh process of this machine for each run.", _local)]
