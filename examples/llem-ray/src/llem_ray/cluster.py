"""The cluster: connect to it, and choose a node for each run."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llem_core.contracts import Resources
from llem_core.errors import StudyError

from llem_ray import guest

_before = list(sys.path)
with guest.as_it_was():
    import ray

_packages = guest.Packages(_before)

NAMESPACE = "llem"
# Ray reports its use to its makers otherwise, and gives up on a busy machine after 30 s.
_OF_THE_START = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "180"}


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is alive.

    Attributes:
        node_id: Ray's own name for it.
        name: for people, and the same as long as it lives: several may be on one host.
        total: what it has of each resource.
    """

    node_id: str
    name: str
    total: Mapping[str, float]

    def has(self, wanted: Mapping[str, float]) -> bool:
        """Whether it could give this, if nothing else ran on it."""
        return all(self.total.get(name, 0.0) >= amount for name, amount in wanted.items())


def connect(address: str | None) -> bool:
    """Connect to a cluster, or start one on this machine.

    Returns:
        Whether it was this call that did so; false where the program had connected before.

    Raises:
        StudyError: there is none at that address.
    """
    _packages.give()
    if ray.is_initialized():
        return False
    given = address or os.environ.get("RAY_ADDRESS")
    local = {} if given else {"include_dashboard": False}
    try:
        with guest.as_it_was(), _variables(_OF_THE_START):
            ray.init(
                address=given or "local",
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **local,
            )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise StudyError(
            f"no Ray cluster answers at {given or 'this machine'} ({_first_line(error)}); correct "
            "execution.ray.address or RAY_ADDRESS, and resume the study."
        ) from error
    return True


def disconnect(*, ours: bool) -> None:
    """Leave the cluster; one that was started for this study ends.

    Args:
        ours: what ``connect`` gave.
    """
    if ours:
        ray.shutdown()
    _packages.take()


def nodes() -> list[Node]:
    """The nodes that are alive, in an order that stays."""
    found = [
        Node(
            each["NodeID"], f"{each['NodeManagerHostname']}-{each['NodeID'][:6]}", each["Resources"]
        )
        for each in ray.nodes()
        if each["Alive"]
    ]
    return sorted(found, key=lambda node: node.name)


def options(resources: Resources) -> dict[str, Any]:
    """What an actor asks of Ray; it has a core of its own unless more is asked for."""
    asked: dict[str, Any] = {"num_cpus": resources.cpus or 1, "num_gpus": resources.gpus or 0}
    if resources.memory_bytes is not None:
        asked["memory"] = resources.memory_bytes
    return asked


def choose(wanted: Resources, taken: Collection[str], asked_for: str | None) -> Node:
    """A node on which no run of this study is.

    Args:
        wanted: what the run asks for.
        taken: names of nodes that have one.
        asked_for: the node of its block, if that is known; another one where it is gone.

    Raises:
        StudyError: no node has what it asks for, or all that have it are taken.
    """
    given = options(wanted)
    needs = {"CPU": given["num_cpus"], "GPU": given["num_gpus"], "memory": given.get("memory", 0)}
    alive = nodes()
    able = [node for node in alive if node.has(needs)]
    if not able:
        raise StudyError(
            f"no node of the Ray cluster has {needs['CPU']} cores, {needs['GPU']} GPUs and "
            f"{needs['memory']} bytes of memory; lower execution.resources, and resume the study."
        )
    free = [node for node in able if node.name not in taken]
    if not free:
        raise StudyError(
            f"the Ray cluster has {len(able)} nodes for a run of this study, and each has one: two "
            "would share a node; lower execution.ray.jobs, and resume the study."
        )
    return next((node for node in free if node.name == asked_for), free[0])


@contextlib.contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
