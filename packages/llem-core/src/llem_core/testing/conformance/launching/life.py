"""The runs of a launcher, recorded for the rules to look at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from llem_core.contracts import (
    Event,
    Launcher,
    LaunchResult,
    LaunchSuccess,
    LaunchTask,
    Running,
    RunState,
)
from llem_core.testing.conformance.launching.subject import BEATS, beating, make_task
from llem_core.testing.conformance.rules import breach

SLICE_S = 0.5
_WATCHED_S = 0.4


@dataclass
class RunRecord:
    """One run, from its start to its end.

    Attributes:
        task: what it was started with.
        run_id: its id right after the start.
        at_start: its result right after the start.
        states: where it stood, each once, in order.
        events: what it told.
        result: how it ended.
        results_too_early: how often it had a result and was not ended, or the other way round.
        longest_wait_s: the longest call of ``events(SLICE_S)`` that gave no event (s).
        after_kill: its result after it had ended and was killed, twice.
        left: which of its processes went on after ``kill``; of a run that goes on alone.
    """

    task: LaunchTask
    run_id: str
    at_start: LaunchResult | None
    states: list[RunState] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    result: LaunchResult | None = None
    results_too_early: int = 0
    longest_wait_s: float = 0.0
    after_kill: LaunchResult | None = None
    left: list[str] = field(default_factory=list)

    def look(self, running: Running) -> None:
        """Note where it stands."""
        state, result = running.state, running.result()
        if not self.states or self.states[-1] is not state:
            self.states.append(state)
        # Between the two questions it may have ended, but never the other way round.
        self.results_too_early += state is RunState.ENDED and result is None
        self.result = result


@dataclass
class Attached:
    """What a second launcher found of a run that goes on.

    Attributes:
        found: whether it found it at all.
        was_over: whether it called it ended, though it went on.
        same_id: whether it has the id that it was asked for.
        left: which of its processes went on after it was killed there.
        ended: whether it has a result after that.
    """

    found: bool
    was_over: bool = False
    same_id: bool = True
    left: list[str] = field(default_factory=list)
    ended: bool = True


class Lives:
    """Makes runs, each kind once, when a rule first asks for it.

    Args:
        create: makes a launcher.
        study: a folder that the runs see, which exists.
        limit_s: after which a run that has not come further counts as hung (s).
    """

    def __init__(self, create: Callable[[], Launcher], study: Path, limit_s: float) -> None:
        self._create = create
        self._study = study
        self._limit_s = limit_s
        (study / BEATS).mkdir()
        self._launchers: list[Launcher] = []
        self._running: list[Running] = []

    def launcher(self) -> Launcher:
        """A new launcher; closed with the others."""
        made = self._create()
        self._launchers.append(made)
        return made

    def close(self) -> None:
        """End all runs and launchers."""
        for running in self._running:
            if running.result() is None:
                running.kill()
        for launcher in self._launchers:
            launcher.close()

    def start(self, launcher: Launcher, task: LaunchTask) -> tuple[Running, RunRecord]:
        """Start a run."""
        running = launcher.start(task)
        self._running.append(running)
        record = RunRecord(task, running.run_id, running.result())
        record.look(running)
        return running, record

    def ends_by_itself(self, kind: str, number: int) -> RunRecord:
        """A run that ends, fails or dies, followed to its end and killed twice after it."""
        launcher = self.launcher()
        task = make_task(self._study, kind, number)  # type: ignore[arg-type]
        running, record = self.start(launcher, task)
        self.follow(running, record, lambda: record.result is not None, "has not ended")
        running.kill()
        running.kill()
        record.after_kill = running.result()
        return record

    def goes_on(self, number: int) -> RunRecord:
        """A run that is killed while it and its child are at work."""
        running, record = self.start(self.launcher(), self._long_task(number))
        if record.at_start is not None:
            breach(f"right after `start` it has a result: {_told(record.at_start)}")
        self.follow(running, record, lambda: len(self._beats()) >= 2, "does not run")
        self.listen(running, record)  # by now it has nothing more to tell
        running.kill()
        record.left = beating(self._study, _WATCHED_S)
        record.look(running)
        running.kill()
        record.after_kill = running.result()
        self._forget()
        return record

    def found_again(self, number: int) -> Attached | None:
        """A run that a second launcher is asked for; ``None`` where it has no id."""
        task = self._long_task(number)
        running, record = self.start(self.launcher(), task)
        if not record.run_id:
            running.kill()
            return None
        self.follow(running, record, lambda: len(self._beats()) >= 2, "does not run")
        again = self.launcher().attach(task, record.run_id)
        try:
            if again is None:
                return Attached(found=False)
            found = Attached(found=True, same_id=again.run_id == record.run_id)
            for _ in again.events(SLICE_S):
                pass
            found.was_over = again.result() is not None
            again.kill()
            found.left = beating(self._study, _WATCHED_S)
            found.ended = again.result() is not None
            return found
        finally:
            running.kill()
            self._forget()

    def follow(
        self, running: Running, record: RunRecord, is_done: Callable[[], bool], what: str
    ) -> None:
        """Take the events of a run until something has come of it."""
        heard_s = time.monotonic()
        while True:
            if self.listen(running, record):
                heard_s = time.monotonic()
            if is_done():
                return
            if record.result is not None:
                breach(f"the run ended where it should go on: {_told(record.result)}")
            if time.monotonic() - heard_s > self._limit_s:
                breach(f"after {self._limit_s:g} s without a word the run {what}")

    def listen(self, running: Running, record: RunRecord) -> bool:
        """Ask for events once; says whether any came."""
        begun_s = time.monotonic()
        before = len(record.events)
        record.events += running.events(SLICE_S)
        record.look(running)
        came = len(record.events) > before
        if not came and record.result is None:
            record.longest_wait_s = max(record.longest_wait_s, time.monotonic() - begun_s)
        return came

    def _long_task(self, number: int) -> LaunchTask:
        return make_task(self._study, "go_on", number, 2 * self._limit_s)

    def _beats(self) -> list[Path]:
        return list((self._study / BEATS).iterdir())

    def _forget(self) -> None:
        for path in self._beats():
            path.unlink(missing_ok=True)


def _told(result: LaunchResult) -> str:
    if isinstance(result, LaunchSuccess):
        return f"success in {result.result_file}"
    return f"{result.error_type}: {result.message}"
