"""Starts each run in its environment: the launcher over the launchers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.launcher import Launcher, Running
from llem_core.contracts.messages import LaunchTask
from llem_core.elsewhere.ask import check_mounts, image_digest
from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.elsewhere.offer import unknown_environment
from llem_core.elsewhere.place import Command, command, interpreter_path
from llem_core.environment.container import ENVIRONMENT_VARIABLE
from llem_core.environment.gpus import Gpus, read_gpus
from llem_core.errors import PreFlightError
from llem_core.meters.visible import VARIABLE, visible_gpus
from llem_core.study.launch.command import CommandLauncher
from llem_core.study.launch.worker import STUDY

_WORKER = ("-P", "-m", "llem_core.study.launch.worker", STUDY)


class EnvironmentsLauncher(Launcher):
    """Gives each run to the launcher of its environment.

    Args:
        own: that of the runs in this environment.
        elsewhere: by environment.
        places: configuration hash to environment; ``None`` is this one.
        backends: backend to environment, of those backends that run in one alone.
    """

    def __init__(
        self,
        own: Launcher,
        elsewhere: Mapping[str, Launcher],
        places: Mapping[str, str | None],
        backends: Mapping[str, str | None],
    ) -> None:
        self._own = own
        self._elsewhere = elsewhere
        self._places = places
        self._backends = backends
        self.slots = own.slots
        self.retries, self.warning = own.retries, own.warning
        parts = [f"{name}: {one.isolation}" for name, one in elsewhere.items()]
        here = [own.isolation] if None in places.values() else []
        self.isolation = "; ".join([*here, *parts])

    def start(self, task: LaunchTask) -> Running:
        """Start it where it belongs."""
        return self._of(self._places.get(task.config_hash)).start(task)

    def attach(self, task: LaunchTask, run_id: str) -> Running | None:
        """Ask the launcher that it belongs to."""
        return self._of(self._places.get(task.config_hash)).attach(task, run_id)

    def warm_up(self, backend: str) -> None:
        """Pass it on, if the backend tells where; a process in the wrong place would disturb."""
        if backend in self._backends:
            self._of(self._backends[backend]).warm_up(backend)

    def close(self) -> None:
        """Close all."""
        for each in (self._own, *self._elsewhere.values()):
            each.close()

    def _of(self, environment: str | None) -> Launcher:
        return self._own if environment is None else self._elsewhere[environment]


def with_environments(
    own: Launcher,
    experiments: Sequence[ExperimentConfig],
    environments: Mapping[str, EnvironmentConfig],
) -> Launcher:
    """A launcher that starts each experiment where it runs; ``own`` itself if all run here.

    Args:
        own: that of the experiments in this environment.
        experiments: all that will be started.
        environments: by name.

    Raises:
        PreFlightError: an environment is not defined, or cannot be used.
    """
    places = {config.measurement_config_hash: config.runs_in for config in experiments}
    names = [name for name in dict.fromkeys(places.values()) if name is not None]
    if not names:
        return own
    if own.slots > 1 and not own.outlives_study:
        raise PreFlightError(
            f"execution.local.slots is {own.slots}, and runs of the environments "
            f"{', '.join(names)} come one after another; set it to 1."
        )
    elsewhere = {name: launcher_of(name, defined(name, environments)) for name in names}
    backends: dict[str, set[str | None]] = {}
    for config in experiments:
        backends.setdefault(config.backend, set()).add(config.runs_in)
    alone = {backend: next(iter(found)) for backend, found in backends.items() if len(found) == 1}
    return EnvironmentsLauncher(own, elsewhere, places, alone)


def launcher_of(name: str, config: EnvironmentConfig) -> CommandLauncher:
    """The launcher of one environment.

    Args:
        name: its name.
        config: the environment.

    Raises:
        PreFlightError: it cannot be used.
    """
    check_mounts(name, config)
    digest = None if config.image is None else image_digest(name, config)
    gpus = gpus_of(name, config)
    told = {"name": name, "image": config.image, "image_digest": digest}
    if config.image is not None:
        told["engine"] = config.engine

    def make(container: str, task: LaunchTask | None) -> Command:
        return command(
            config,
            _WORKER,
            container=container,
            folders=() if task is None else (Path(task.directory),),
            gpus=gpus,
            told={ENVIRONMENT_VARIABLE: json.dumps(told)},
        )

    if config.image is None:
        where = f"a process of {interpreter_path(config)} for each experiment"
        return CommandLauncher(where, make)
    where = f"a container of {config.image} ({digest}) for each experiment, by {config.engine}"
    # A container sees its study's folder, which is not known before its task is.
    return CommandLauncher(where, make, eager=False)


def gpus_of(name: str, config: EnvironmentConfig, found: Gpus | None = None) -> tuple[str, ...]:
    """UUIDs of the GPUs that a container shall see: of ``all`` or a number, those that CUDA shows.

    Args:
        name: the environment's name.
        config: the environment.
        found: the GPUs of this machine; the driver is asked if not given.

    Raises:
        PreFlightError: they are not here.
    """
    wanted = config.gpus
    if wanted is None:
        return ()
    found = read_gpus() if found is None else found
    uuids = [gpu.uuid for gpu in found.gpus]
    where = f"environments.{name}.gpus"
    none = f"no GPU ({found.reason})"
    if isinstance(wanted, tuple):
        missing = [uuid for uuid in wanted if uuid not in uuids]
        if missing:
            raise PreFlightError(
                f"{where} names {', '.join(missing)}, and this machine has "
                f"{', '.join(uuids) or none}; correct the UUIDs"
            )
        return wanted
    visible = visible_gpus(os.environ, uuids, [gpu.name for gpu in found.gpus])
    if visible.uuids is None:
        raise PreFlightError(
            f"{where} is {wanted}, and which GPUs are meant is not known: "
            f"{visible.note}; or list UUIDs in {where}"
        )
    number = max(1, len(visible.uuids)) if wanted == "all" else wanted
    if number > len(visible.uuids):
        hidden = f"; {VARIABLE} is set" if VARIABLE in os.environ and uuids else ""
        raise PreFlightError(
            f"{where} is {wanted}, and this machine has {len(visible.uuids) or none}{hidden}; ask "
            "for those that are there, or for none"
        )
    return visible.uuids[:number]


def defined(name: str, environments: Mapping[str, EnvironmentConfig]) -> EnvironmentConfig:
    """The environment of this name.

    Raises:
        PreFlightError: there is none.
    """
    if name in environments:
        return environments[name]
    raise PreFlightError(unknown_environment(name, environments))
