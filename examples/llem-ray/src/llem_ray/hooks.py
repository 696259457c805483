"""Registers the launcher; imports nothing heavy."""

from __future__ import annotations

from importlib.util import find_spec

from llem_core.contracts import Availability, Launcher, LauncherSpec, Section, hookimpl

from llem_ray.config import RayConfig

LLEM_CONTRACT = 2


def _availability() -> Availability:
    if find_spec("ray") is None:
        return Availability(False, "ray is not installed; pip install ray")
    return Availability(True, "connects to a cluster, or starts one on this machine")


def _create(section: Section | None) -> Launcher:
    from llem_ray.launcher import RayLauncher

    assert section is None or isinstance(section, RayConfig)
    return RayLauncher(section or RayConfig())


@hookimpl
def llem_launchers() -> list[LauncherSpec]:
    """Name it."""
    return [
        LauncherSpec(
            name="ray",
            summary="A process on a node of a Ray cluster for each run.",
            create=_create,
            section=RayConfig,
            availability=_availability,
            grants_resources=True,
        )
    ]
