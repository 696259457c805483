"""One run of a study, from its start to the record of how it ended."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from llem_core.contracts.launcher import Running, RunState
from llem_core.contracts.messages import LaunchFailure, LaunchResult, LaunchSuccess, LaunchTask
from llem_core.events import Event, Listener
from llem_core.files import write_atomically
from llem_core.study.launch.endings import describe_timeout
from llem_core.study.plan import PlannedRun
from llem_core.study.record.folders import remove
from llem_core.study.summary.figures import Figures, read_figures

_QUEUE_SLICE_S = 1.0


class Unstarted(Running):
    """A run that could not be started, as what it needs is not there.

    Args:
        failure: why.
    """

    def __init__(self, failure: LaunchFailure) -> None:
        self._failure = failure

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Nothing happens."""
        del timeout_s
        yield from ()

    def result(self) -> LaunchFailure:
        """Why."""
        return self._failure

    def kill(self) -> None:
        """There is nothing."""


class ActiveRun:
    """A run that its launcher has been given.

    Args:
        planned: the run.
        task: as the launcher was given it.
        running: the launcher's side of it.
        limit_s: how long it may be running (s); time in a queue does not count.
        clock: monotonic time (s).

    Attributes:
        started_s: monotonic time of its start (s).
    """

    def __init__(
        self,
        planned: PlannedRun,
        task: LaunchTask,
        running: Running,
        limit_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.planned = planned
        self._task = task
        self._running = running
        self._limit_s = limit_s
        self._clock = clock
        self.started_s = clock()
        self._running_since_s: float | None = None
        self._told_place: tuple[str | None, str | None] = (None, None)

    @property
    def node(self) -> str | None:
        """The node that it is or was on, as far as its launcher has told."""
        return self._running.node

    @property
    def run_id(self) -> str:
        """What its launcher knows it by."""
        return self._running.run_id

    def moved(self) -> tuple[str | None, str | None] | None:
        """Its node and what it waits for, where they are not what they were at the last call."""
        place = (self._running.node, self._running.waits_for)
        if place == self._told_place:
            return None
        self._told_place = place
        return place

    def follow(self, timeout_s: float, tell: Listener) -> bool:
        """Pass events on for a while.

        Returns:
            Whether the run is over: it has ended, or it has been running for too long.
        """
        left_s = self._left_s()
        queued = self._running.state is RunState.QUEUED
        for event in self._running.events(
            min(timeout_s, left_s, _QUEUE_SLICE_S if queued else math.inf)
        ):
            tell(event)
        return self._running.result() is not None or self._left_s() <= 0

    def end(self) -> LaunchResult:
        """How it ended, when it is over; nothing of it is alive after this."""
        result = self._running.result()
        self._running.kill()
        if result is not None:
            return result
        late = self._running.result()
        if isinstance(late, LaunchSuccess):
            return late  # its result came while it was being killed
        phase = late.phase if late is not None else None
        return describe_timeout(self._limit_s, phase, self._log)

    def conclude(self, ended: LaunchResult) -> tuple[Path, Figures] | LaunchFailure:
        """Read the result, once; or keep what is known of the failure, and nothing else."""
        if self._log.exists() and not self._log.stat().st_size:
            remove(self._log)
        failure = ended
        if isinstance(ended, LaunchSuccess):
            try:
                return Path(ended.result_file), self._figures(ended)
            except ValueError as error:
                failure = LaunchFailure("WorkerDied", f"its result cannot be used: {error}")
        assert isinstance(failure, LaunchFailure)
        remove(self._folder)
        text = json.dumps(dataclasses.asdict(failure), indent=1) + "\n"
        # On a full disk the manifest's line has to do.
        with contextlib.suppress(OSError):
            write_atomically(self._beside("error.json"), text.encode())
        return failure

    def set_aside(self, attempt: int) -> None:
        """Keep what is known of the failure, as the run is tried again."""
        with contextlib.suppress(OSError):
            self._beside("error.json").replace(self._beside(f"attempt-{attempt}.error.json"))

    def abandon(self) -> None:
        """The study ends in the middle of it: kill it."""
        self._running.kill()

    def discard(self) -> None:
        """Remove what it has written."""
        remove(self._folder)

    @property
    def _folder(self) -> Path:
        return Path(self._task.directory) / self._task.folder

    @property
    def _log(self) -> Path:
        return self._beside("log")

    def _beside(self, what: str) -> Path:
        return self._folder.with_name(f"{self._folder.name}.{what}")

    def _left_s(self) -> float:
        if self._running_since_s is None:
            if self._running.state is not RunState.RUNNING:
                return math.inf
            self._running_since_s = self._clock()
        return self._limit_s - (self._clock() - self._running_since_s)

    def _figures(self, ended: LaunchSuccess) -> Figures:
        path = Path(self._task.directory) / ended.result_file
        try:
            size_bytes = path.stat().st_size
        except OSError as error:
            raise ValueError(f"{path.name} cannot be read ({error.strerror})") from error
        if size_bytes != ended.size_bytes:
            raise ValueError(
                f"{path.name} has {size_bytes} bytes, and {ended.size_bytes} were written"
            )
        return read_figures(path, self.planned.config_hash)
