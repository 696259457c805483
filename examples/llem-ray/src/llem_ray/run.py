"""One run on the cluster, as the study sees it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import ray
from llem_core.contracts import (
    Event,
    LaunchFailure,
    LaunchResult,
    LaunchSuccess,
    Running,
    RunState,
    decode,
)
from ray.exceptions import ActorUnschedulableError, GetTimeoutError, RayActorError

_SLICE_S = 1.0
_STOP_S = 20.0


class RayRun(Running):
    """A run whose actor has been asked for.

    Args:
        name: the actor's.
        actor: its handle.
        node: where it is, or will be.
        node_id: Ray's own name for that node.
    """

    def __init__(self, name: str, actor: Any, node: str, node_id: str) -> None:
        self.run_id = name
        self._actor = actor
        self._place = node
        self._node_id = node_id
        self._n_seen = 0
        self._asked: Any = None
        self._said: LaunchResult | None = None
        self._result: LaunchResult | None = None

    @property
    def state(self) -> RunState:
        """Queued until its actor has answered once."""
        if self._result is not None:
            return RunState.ENDED
        return RunState.QUEUED if self.node is None else RunState.RUNNING

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Ask the actor for what has come, until its state changes or the time is over."""
        deadline_s = time.monotonic() + timeout_s
        before = self.state
        while self._result is None and self.state is before:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return
            self._asked = self._asked or self._actor.take.remote(self._n_seen, _SLICE_S)
            ready, _ = ray.wait([self._asked], timeout=left_s)
            if not ready:
                self.waits_for = None if self.node else "its node has no room for it yet"
                return
            answer, self._asked = self._asked, None
            try:
                lines, ended = ray.get(answer)
            except (RayActorError, ActorUnschedulableError) as error:
                self._end(self._lost(error))
                return
            self.node, self.waits_for = self._place, None
            self._n_seen += len(lines)
            yield from self._decoded(lines)
            if ended is not None:
                self._end(self._said or LaunchFailure("WorkerDied", f"the worker {ended}"))

    def result(self) -> LaunchResult | None:
        """How it ended; ``None`` while it has not."""
        return self._result

    def kill(self) -> None:
        """End the run, then its actor."""
        if self._result is None:
            with contextlib.suppress(RayActorError, ActorUnschedulableError, GetTimeoutError):
                # Where the actor has not begun, there is nothing to stop.
                if self.node is not None:
                    ray.get(self._actor.stop.remote(), timeout=_STOP_S)
            self._end(LaunchFailure("JobCancelled", "the run was ended by the study"))

    def _decoded(self, lines: list[bytes]) -> Iterator[Event]:
        for line in lines:
            message = decode(line)
            if isinstance(message, Event):
                yield message
            elif isinstance(message, LaunchSuccess | LaunchFailure):
                self._said = message

    def _end(self, result: LaunchResult) -> None:
        self._result = result
        with contextlib.suppress(RayActorError):
            ray.kill(self._actor, no_restart=True)

    def _lost(self, error: Exception) -> LaunchFailure:
        """The failure of a run whose actor is gone."""
        alive = {each["NodeID"] for each in ray.nodes() if each["Alive"]}
        if self._node_id in alive:
            return LaunchFailure(
                "WorkerKilled", f"its actor was ended: {_one_line(error)}", is_transient=True
            )
        told = f"its node {self._place} is gone: {_one_line(error)}"
        return LaunchFailure("NodeLost", told, is_transient=True)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
