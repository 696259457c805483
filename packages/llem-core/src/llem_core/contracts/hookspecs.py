"""All hooks of LLenergyMeasure.

A plugin is a module (or any object) that the entry-point group ``llem`` names. It declares
the contract that it was written for with ``LLEM_CONTRACT = 2`` and implements any of these
hooks with ``@hookimpl``. Hooks register; classes do the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from llem_core.contracts.backend import BackendSpec
    from llem_core.contracts.launcher import LauncherSpec
    from llem_core.contracts.sampler import DomainKind, SamplerSpec
    from llem_core.contracts.service import StudyService
    from llem_core.contracts.sink import SinkSpec
    from llem_core.contracts.workload import Workload
    from llem_core.events import (
        ExperimentFailed,
        ExperimentFinished,
        ExperimentStarted,
        PhaseChanged,
        StudyFailed,
        StudyFinished,
        StudyStarted,
    )

PROJECT = "llem"
CONTRACT_VERSION = 2
"""Version of everything in ``llem_core.contracts``. It changes when a plugin written for the
former one would no longer work; additions do not change it."""

CONTRACT_HISTORY = {
    1: "first version",
    2: (
        "`RequestOutput` has times of its own; `prepare` is told the purpose of a pass; terms of "
        "uncertainty say how they grow; finished types lie in `llem_core.contracts.sink`"
    ),
}
"""What each version asks a plugin of the one before to change."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a plugin can be used on this machine, and why or why not.

    Attributes:
        usable: whether it can be used now.
        reason: one sentence for a person; what to do about it where it is not usable.
        domains: for a sampler, the kinds of energy that it would read here.
    """

    usable: bool
    reason: str
    domains: tuple[DomainKind, ...] = ()


hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def llem_backends() -> Sequence[BackendSpec]:  # type: ignore[empty-body]
    """Name the backends of this plugin.

    Called once when plugins are loaded, in every process: keep it free of heavy imports.
    """


@hookspec
def llem_samplers() -> Sequence[SamplerSpec]:  # type: ignore[empty-body]
    """Name the energy samplers of this plugin. Called like ``llem_backends``."""


@hookspec
def llem_sinks() -> Sequence[SinkSpec]:  # type: ignore[empty-body]
    """Name the result sinks of this plugin. Called like ``llem_backends``."""


@hookspec
def llem_launchers() -> Sequence[LauncherSpec]:  # type: ignore[empty-body]
    """Name the launchers of this plugin. Called like ``llem_backends``."""


@hookspec
def llem_study_services(  # type: ignore[empty-body]
    workloads: Sequence[tuple[str, Workload]],
) -> Sequence[StudyService]:
    """Name the services that a study keeps between its runs, such as a server.

    Called in the study's own process, once before its first run, with the backend's name and the
    workload of every experiment; a single experiment has no services.
    """


@hookspec
def llem_experiment_started(event: ExperimentStarted) -> None:
    """Called when an experiment begins, before anything is loaded."""


@hookspec
def llem_experiment_phase_changed(event: PhaseChanged) -> None:
    """Called when an experiment enters its next step; never inside a measured window."""


@hookspec
def llem_experiment_finished(event: ExperimentFinished) -> None:
    """Called when an experiment ended with a result, before sinks receive it."""


@hookspec
def llem_experiment_failed(event: ExperimentFailed) -> None:
    """Called when an experiment ended without a result."""


@hookspec
def llem_study_started(event: StudyStarted) -> None:
    """Called in the study's own process when it begins or goes on, before its first run."""


@hookspec
def llem_study_finished(event: StudyFinished) -> None:
    """Called when all runs of a study were tried, before sinks receive it."""


@hookspec
def llem_study_failed(event: StudyFailed) -> None:
    """Called when a study ended early: interrupted, or unable to go on."""
