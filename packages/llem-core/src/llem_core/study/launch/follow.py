"""What all runs have that follow a worker of this machine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from llem_core.contracts.launcher import Running
from llem_core.contracts.messages import LaunchFailure, LaunchResult, LaunchSuccess, LaunchTask
from llem_core.events import Event, Phase, PhaseChanged
from llem_core.study.launch.channel import Inbox
from llem_core.study.launch.worker import log_path


class WorkerRun(Running):
    """One experiment in a worker, which sends events and at last a result.

    Args:
        task: what it runs.
        run_id: see ``Running``.
        grace_s: time that the worker may take to end after it has sent its result (s).
    """

    def __init__(self, task: LaunchTask, run_id: str, grace_s: float) -> None:
        self.run_id = run_id
        self._grace_s = grace_s
        self._log = log_path(task)
        self._phase: Phase | None = None
        self._result: LaunchResult | None = None
        self._ended = False

    def result(self) -> LaunchResult | None:
        """How it ended; ``None`` while it runs."""
        return self._result if self._ended else None

    def kill(self) -> None:
        """End the worker and everything that it started."""
        if not self._ended:
            self._end()

    def _take(self, *inboxes: Inbox) -> Iterator[Event]:
        """Events that have come; the phase and the result are noted."""
        for inbox in inboxes:
            for message in inbox.take():
                if isinstance(message, PhaseChanged):
                    self._phase = message.phase
                if isinstance(message, Event):
                    yield message
                elif isinstance(message, LaunchSuccess | LaunchFailure):
                    self._result = message

    @abstractmethod
    def _end(self) -> None:
        """End the worker, free what it held, and see that there is a result."""
