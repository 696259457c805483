"""Gives each run of a study a process on a node of a Ray cluster."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from pathlib import Path

from llem_core.contracts import Launcher, LaunchTask, Running, decode, encode

from llem_ray import cluster  # before Ray, which it keeps within bounds

# isort: split
import ray
from ray.exceptions import GetTimeoutError, RayActorError
from ray.util import list_named_actors
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from llem_ray.actor import RunActor
from llem_ray.config import RayConfig
from llem_ray.run import RayRun

_ANSWER_S = 30.0
_AT_ONCE = 4  # calls of one actor: one waits for messages, another one ends it


class RayLauncher(Launcher):
    """Starts a detached actor for each run, which starts the worker of core on its node.

    An actor that is detached outlives the study's process, so that a study which is resumed finds
    it by its name; on a cluster that the study has started itself it ends with the study.

    Args:
        section: which cluster.
    """

    isolation = "a process of its own for each experiment, on a node of a Ray cluster"
    retries = 1

    def __init__(self, section: RayConfig) -> None:
        self.slots = section.jobs
        self._address = section.address
        self.outlives_study = bool(section.address or os.environ.get("RAY_ADDRESS"))
        self._connected: bool | None = None
        self._runs: dict[str, RayRun] = {}
        self._places: dict[str, str] = {}
        self._is_swept = False

    def start(self, task: LaunchTask) -> Running:
        """Ask for an actor on a node that has no run of this study."""
        self._connect()
        self._sweep(task)
        busy = [name for name, run in self._runs.items() if run.result() is None]
        taken = {self._places[name] for name in busy if name in self._places}
        node = cluster.choose(task.resources, taken, task.node)
        name = f"{_prefix(task)}{uuid.uuid4().hex[:12]}"
        actor = (
            ray.remote(RunActor)
            .options(
                name=name,
                namespace=cluster.NAMESPACE,
                lifetime="detached",
                max_concurrency=_AT_ONCE,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False),
                **cluster.options(task.resources),
            )
            .remote(
                encode(task),
                dict(os.environ),
                str(Path.cwd()),
                task.resources.gpus or 0,
                (node.name, node.node_id),
            )
        )
        self._places[name] = node.name
        return self._note(RayRun(name, actor, node.name, node.node_id))

    def attach(self, task: LaunchTask, run_id: str) -> Running | None:
        """Find an actor again by its name."""
        self._connect()
        try:
            actor = ray.get_actor(run_id, namespace=cluster.NAMESPACE)
            line, node, node_id = ray.get(actor.about.remote(), timeout=_ANSWER_S)
            given = decode(line)
        except (ValueError, RayActorError, GetTimeoutError):
            return None
        if not isinstance(given, LaunchTask) or given.config_hash != task.config_hash:
            return None
        self._places[run_id] = node
        return self._note(RayRun(run_id, actor, node, node_id))

    def close(self) -> None:
        """Disconnect; a cluster that was started for this study ends."""
        if self._connected is not None:
            cluster.disconnect(ours=self._connected)
        self._connected = None

    def _note(self, run: RayRun) -> RayRun:
        self._runs[run.run_id] = run
        return run

    def _connect(self) -> None:
        if self._connected is None:
            self._connected = cluster.connect(self._address)

    def _sweep(self, task: LaunchTask) -> None:
        """End actors that an earlier process of this study started and could not note."""
        if self._is_swept:
            return
        self._is_swept = True
        for found in list_named_actors(all_namespaces=True):
            name = found["name"]
            if name.startswith(_prefix(task)) and name not in self._runs:
                with contextlib.suppress(ValueError, RayActorError):
                    ray.kill(ray.get_actor(name, namespace=cluster.NAMESPACE), no_restart=True)


def _prefix(task: LaunchTask) -> str:
    """What the names of all actors of a study begin with."""
    return f"llem-{hashlib.sha256(task.directory.encode()).hexdigest()[:12]}-"
