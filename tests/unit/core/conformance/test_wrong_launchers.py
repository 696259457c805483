"""For every rule of launchers, a launcher that breaks it and no other."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from llem_core.contracts import (
    Availability,
    Event,
    Launcher,
    LauncherSpec,
    LaunchFailure,
    LaunchResult,
    LaunchSuccess,
    LaunchTask,
    Running,
    RunState,
    decode,
    encode,
)
from llem_core.events import PhaseChanged
from llem_core.plugins import Plugins, use_plugins
from llem_core.study.launch.worker import execute
from llem_core.testing import LauncherContract, run_contract
from llem_core.testing.conformance import checks_of


class ForkRun(Running):
    """A run in a fork of this process, which starts in no time; keeps every rule."""

    def __init__(self, task: LaunchTask) -> None:
        self.task = task
        self.ended: LaunchResult | None = None
        self.rest = b""
        self.reader, writer = os.pipe()
        self.pid = _fork(task, writer)
        os.close(writer)
        self.run_id = str(self.pid)

    def events(self, timeout_s: float) -> Iterator[Event]:
        until_s = time.monotonic() + timeout_s
        while self.ended is None and (left_s := until_s - time.monotonic()) > 0:
            if not select.select([self.reader], [], [], left_s)[0]:
                return
            chunk = os.read(self.reader, 1 << 16)
            lines, newline, self.rest = (self.rest + chunk).rpartition(b"\n")
            for line in lines.splitlines() if newline else ():
                message = decode(line)
                if isinstance(message, Event):
                    yield message
                elif isinstance(message, LaunchSuccess | LaunchFailure):
                    self.finish(message)
            if not chunk and self.ended is None:
                self.finish(None)

    def finish(self, result: LaunchResult | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.reader)
        self.ended = result or LaunchFailure("WorkerDied", f"it ended with {code}")

    def result(self) -> LaunchResult | None:
        return self.ended

    def kill(self) -> None:
        if self.ended is None:
            self.finish(None)


def _fork(task: LaunchTask, writer: int) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the test's runner has threads
        pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return pid
    try:
        os.setpgid(0, 0)
        plugins = Plugins()
        plugins.load_installed()
        with use_plugins(plugins):
            result = execute(task, lambda event: _write(writer, encode(event)))
        _write(writer, encode(result))
    finally:
        os._exit(0)


def _write(writer: int, line: bytes) -> None:
    os.write(writer, line)


class Right(Launcher):
    isolation = "a fork of the test"
    kind: type[ForkRun] = ForkRun

    def start(self, task: LaunchTask) -> Running:
        return self.kind(task)


class Known(Right):
    """Finds runs again."""

    runs: ClassVar[dict[str, ForkRun]] = {}

    def start(self, task: LaunchTask) -> Running:
        run = self.kind(task)
        self.runs[run.run_id] = run
        return run

    def attach(self, task: LaunchTask, run_id: str) -> Running | None:
        run = self.runs.get(run_id)
        return run if run is not None and run.task.config_hash == task.config_hash else None


class Starts(Right):
    """Has a process before it has a run."""

    def __init__(self) -> None:
        self.child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])

    def close(self) -> None:
        self.child.kill()
        self.child.wait()


class NoSlots(Right):
    slots = 0


class Silent(Right):
    isolation = "unknown"


class Waits(ForkRun):
    """`start` returns when the run has ended."""

    def __init__(self, task: LaunchTask) -> None:
        super().__init__(task)
        self.early: list[Event] = []
        while self.ended is None:
            self.early += super().events(9.0)

    def events(self, timeout_s: float) -> Iterator[Event]:
        yield from self.early
        self.early = []
        yield from super().events(timeout_s)


class Twice(ForkRun):
    def events(self, timeout_s: float) -> Iterator[Event]:
        for event in super().events(timeout_s):
            yield event
            if not isinstance(event, PhaseChanged):
                yield event


class Backwards(ForkRun):
    def events(self, timeout_s: float) -> Iterator[Event]:
        steps: list[Event] = []
        for event in super().events(timeout_s):
            if isinstance(event, PhaseChanged):
                steps.append(event)
            else:
                yield event
        yield from reversed(steps)


class AtTheEnd(ForkRun):
    def __init__(self, task: LaunchTask) -> None:
        super().__init__(task)
        self.all: list[Event] = []

    def events(self, timeout_s: float) -> Iterator[Event]:
        self.all += super().events(timeout_s)
        if self.ended is not None:
            yield from self.all
            self.all = []


class Stays(ForkRun):
    """Waits longer than it was told to."""

    def events(self, timeout_s: float) -> Iterator[Event]:
        begun_s, silent = time.monotonic(), True
        for event in super().events(timeout_s):
            silent = False
            yield event
        if silent and self.ended is None:
            time.sleep(max(0.0, begun_s + 2.7 - time.monotonic()))


class QueuedAgain(ForkRun):
    looks = 0

    @property
    def state(self) -> RunState:
        self.looks += 1
        if self.ended is not None:
            return RunState.ENDED
        return RunState.QUEUED if self.looks == 2 else RunState.RUNNING


class NeverRunning(ForkRun):
    @property
    def state(self) -> RunState:
        return RunState.QUEUED if self.ended is None else RunState.ENDED


class RunsWithResult(ForkRun):
    @property
    def state(self) -> RunState:
        return RunState.RUNNING


class Truncates(ForkRun):
    def finish(self, result: LaunchResult | None) -> None:
        if isinstance(result, LaunchSuccess):
            result = replace(result, size_bytes=result.size_bytes - 1)
        super().finish(result)


class Summarises(ForkRun):
    def finish(self, result: LaunchResult | None) -> None:
        if isinstance(result, LaunchFailure) and result.error_type != "WorkerDied":
            result = LaunchFailure("Error", "something failed")
        super().finish(result)


class SaysNothing(ForkRun):
    def finish(self, result: LaunchResult | None) -> None:
        super().finish(result)
        if result is None:
            self.ended = LaunchFailure("WorkerDied", "")


class KillsOne(ForkRun):
    """Ends the process, and not what that has started."""

    def finish(self, result: LaunchResult | None) -> None:
        os.kill(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.reader)
        self.ended = result or LaunchFailure("WorkerDied", f"it ended with {code}")


class KillsTwice(ForkRun):
    """Calls every run killed that is killed, ended or not."""

    def kill(self) -> None:
        before = self.ended
        super().kill()
        if before is not None:
            self.ended = LaunchFailure("Killed", "it was killed")


class Lost(Known):
    """Takes what it finds for ended."""

    def attach(self, task: LaunchTask, run_id: str) -> Running | None:
        run = super().attach(task, run_id)
        return None if run is None else Ghost(run)


class Ghost(Running):
    def __init__(self, run: Running) -> None:
        self.run = run
        self.run_id = run.run_id

    def events(self, timeout_s: float) -> Iterator[Event]:
        yield from ()

    def result(self) -> LaunchResult | None:
        return LaunchFailure("NodeLost", "it is gone")

    def kill(self) -> None:
        self.run.kill()


class FindsAll(Known):
    def attach(self, task: LaunchTask, run_id: str) -> Running | None:
        return self.runs.get(run_id)


def of(kind: type[ForkRun]) -> type[Right]:
    return type(kind.__name__, (Right,), {"kind": kind})


WAITS = of(Waits)


@dataclass(frozen=True)
class Wrong:
    code: str
    kind: type[Launcher]


WRONG = [
    Wrong("L1", Starts),
    Wrong("L1", NoSlots),
    Wrong("L1", Silent),
    Wrong("L2", WAITS),
    Wrong("L3", of(Twice)),
    Wrong("L3", of(Backwards)),
    Wrong("L3", of(AtTheEnd)),
    Wrong("L4", of(Stays)),
    Wrong("L5", of(QueuedAgain)),
    Wrong("L5", of(NeverRunning)),
    Wrong("L5", of(RunsWithResult)),
    Wrong("L6", of(Truncates)),
    Wrong("L7", of(Summarises)),
    Wrong("L8", of(SaysNothing)),
    Wrong("L9", of(KillsOne)),
    Wrong("L10", of(KillsTwice)),
    Wrong("L11", Lost),
    Wrong("L12", FindsAll),
]


def contract(kind: Callable[[], Launcher], available: Availability | None = None) -> type[Any]:
    answer = available or Availability(True, "a fork is always there")
    spec = LauncherSpec("forks", "A fork.", lambda section: kind(), None, lambda: answer)
    limit_s = 2.5 if kind is WAITS else 20.0
    # The module of the spec is this one, which costs what a test does.
    given = {"spec": spec, "limit_s": limit_s, "import_ratio": 9.0}
    return type("Tried", (LauncherContract,), given)


FIRST = {wrong.code: wrong for wrong in reversed(WRONG)}
TRIED = [
    pytest.param(
        wrong,
        id=f"{wrong.code} {wrong.kind.__name__}",
        marks=[] if FIRST[wrong.code] is wrong else [pytest.mark.full],
    )
    for wrong in WRONG
]


@pytest.fixture(autouse=True)
def few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = ("pytorch", "energy-nvml", "energy-zeus", "energy-codecarbon", "energy-dcgm", "slurm")
    monkeypatch.setenv("LLEM_DISABLE_PLUGINS", ",".join(f"llem-{name}" for name in shipped))


@pytest.mark.parametrize("wrong", TRIED)
@pytest.mark.full
def test_the_wrong_launcher_breaks_its_rule_and_no_other(wrong: Wrong) -> None:
    outcomes = run_contract(contract(wrong.kind))
    failed = {code: o.message for code, o in outcomes.items() if o.state == "failed"}
    assert list(failed) == [wrong.code], failed


@pytest.mark.parametrize("kind", [Right, pytest.param(Known, marks=pytest.mark.full)])
def test_the_right_launcher_breaks_none(kind: type[Launcher]) -> None:
    outcomes = run_contract(contract(kind))
    assert {code: o.message for code, o in outcomes.items() if o.state == "failed"} == {}
    skipped = {code for code, o in outcomes.items() if o.state == "skipped"}
    assert skipped == {"P2", "P4", "P5", "P6", *({"L11"} if kind is Right else ())}


def test_a_launcher_that_cannot_be_used_is_skipped_with_its_reason() -> None:
    outcomes = run_contract(contract(Right, Availability(False, "no sbatch in PATH")))
    assert "no sbatch in PATH" in outcomes["L3"].message
    assert {o.state for o in outcomes.values()} == {"passed", "skipped"}


def test_a_run_that_never_begins_is_told(tmp_path: Path) -> None:
    class Hangs(ForkRun):
        def events(self, timeout_s: float) -> Iterator[Event]:
            time.sleep(0.05)
            yield from ()

    kind = contract(of(Hangs))
    kind.limit_s = 0.2
    outcomes = run_contract(kind)
    assert "after 0.2 s without a word the run has not ended" in outcomes["L6"].message


def test_every_rule_has_a_wrong_launcher() -> None:
    codes = {rule.code for _, rule in checks_of(LauncherContract) if rule.code.startswith("L")}
    assert codes == {wrong.code for wrong in WRONG}
