"""The parts that a study's run is made of, each by itself."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from llem_core.config.execution import ExecutionConfig
from llem_core.config.sweep.expand import expand_grid
from llem_core.contracts import LaunchFailure, LaunchSuccess, LaunchTask, decode, encode
from llem_core.contracts.messages import PROTOCOL_VERSION, Resources, WarmUp
from llem_core.errors import StudyError
from llem_core.events import (
    Event,
    ExperimentFailed,
    ExperimentFinished,
    ExperimentStarted,
    ExperimentState,
    GapProgress,
    Phase,
    PhaseChanged,
    PhaseProgress,
)
from llem_core.files import StudyLock
from llem_core.processes.guard import MARKER, kill_all
from llem_core.study.interrupts import Interrupts
from llem_core.study.launch.endings import describe_death
from llem_core.study.pace import Remaining, pause
from llem_core.study.plan import Gap, PlannedRun, apply_cycles
from llem_core.study.record.folders import clear, run_folder

pytestmark = pytest.mark.usefixtures("scripted")


@pytest.mark.parametrize(
    "message",
    [
        ExperimentStarted("h", "m", "b", 3),
        PhaseChanged("h", ExperimentState.MEASURING, Phase.MEASURE, 1.5),
        PhaseProgress("h", Phase.WARMUP, 1, 2, "prompts"),
        ExperimentFinished("h", 1.0, None, 2.0),
        ExperimentFailed("h", Phase.LOAD, "BackendError", "two\nlines"),
        ExperimentFailed("h", None, "BackendError", "\ud800"),
        LaunchTask("h", {"model": "m", "cheap": {"x": [1, None]}}, "/d", "f", Resources(gpus=2)),
        LaunchFailure("T", "m", None, Phase.LOAD),
        LaunchSuccess("a/result.json", 7),
        WarmUp("pytorch"),
    ],
)
def test_messages_are_one_line_and_come_back_as_they_were(message: object) -> None:
    line = encode(message)  # type: ignore[arg-type]
    assert line.count(b"\n") == 1
    back = decode(line)
    assert back == message
    assert type(back) is type(message)
    if isinstance(back, PhaseChanged):
        assert back.phase is Phase.MEASURE


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{}", b"[1]", b"\xff\x00", b'{"protocol":1}', b'{"protocol":1,"kind":"Nothing"}'),
        b'{"protocol":1,"kind":"LaunchSuccess","result_file":"a"}',
        b'{"protocol":1,"kind":"LaunchSuccess","result_file":"a","size_bytes":"many"}',
    ],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a message"):
        decode(line)


def test_a_message_of_another_protocol_names_both() -> None:
    line = encode(WarmUp("pytorch")).replace(b'"protocol":1', b'"protocol":99')
    with pytest.raises(ValueError, match=rf"protocol 99 .* has protocol {PROTOCOL_VERSION} "):
        decode(line)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


def test_a_gap_counts_down_by_whole_seconds() -> None:
    clock, told = Clock(), list[Event]()
    pause(Gap("cycle", 3.5), "d", told.append, sleep=clock.sleep, clock=clock)
    lefts = [event.left_s for event in told if isinstance(event, GapProgress)]
    assert lefts == pytest.approx([3.5, 3.0, 2.0, 1.0, 0.0])
    assert clock.slept == pytest.approx([0.5, 1, 1, 1])
    assert {(e.kind, e.total_s) for e in told if isinstance(e, GapProgress)} == {("cycle", 3.5)}


def planned(n: int = 3, cycles: int = 2, **execution: object) -> tuple[PlannedRun, ...]:
    grid = expand_grid({"model": "m", "backend": "scripted", "sweep": {"n": list(range(1, n + 1))}})
    settings = ExecutionConfig(n_cycles=cycles, **execution)  # type: ignore[arg-type]
    return apply_cycles(grid.experiments, settings, "0" * 16)


def test_what_remains_is_learnt_from_what_has_completed() -> None:
    execution = ExecutionConfig(n_cycles=2, config_gap_seconds=10, cycle_gap_seconds=100)
    runs = planned()  # A1 A2 B1 B2 C1 C2
    left = Remaining(runs, execution)
    gaps_s = 100 + 10 + 100 + 10 + 100
    assert left.ended(0, 5.0, completed=False) is None
    # A takes 4 s a run, as must B and C for all that is known.
    assert left.ended(1, 4.0, completed=True) == pytest.approx(4 * 4 + gaps_s - 100)
    assert left.ended(2, 8.0, completed=True) == pytest.approx(8 + 2 * 6 + gaps_s - 110)
    assert left.ended(3, 10.0, completed=True) == pytest.approx(2 * 6.5 + gaps_s - 210)
    assert left.ended(4, 1.0, completed=False) == pytest.approx(6.5 + 100)
    assert left.ended(5, 1.0, completed=True) == 0.0


def test_what_remains_without_gaps() -> None:
    runs = planned(n=2, cycles=1)
    left = Remaining(runs, ExecutionConfig(config_gap_seconds=0, cycle_gap_seconds=0))
    assert left.ended(0, 3.0, completed=True) == pytest.approx(3.0)


def test_folders_of_runs_are_named_after_what_varies() -> None:
    (run, *_) = planned(n=1, cycles=1)
    name = run.config_hash
    assert run_folder(run, name, 9) == f"001_{name}_c1"
    label = "scripted.batch_size=1, decoder.top_p=0.5, model=a/b"
    assert run_folder(run, label, 10_000) == f"00001_batch_size-1_top_p-0.5_model-a-b_{name}_c1"
    long = run_folder(run, "scripted.x=" + "y" * 500, 1)
    assert len(long) < 80


def test_only_unfinished_runs_are_cleared(tmp_path: Path) -> None:
    kept, gone = f"001_x_{'a' * 16}_c1", f"002_{'b' * 16}_c1"
    for name in (kept, gone, "notes", "002_my-own-folder"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    for name in (f"{kept}.log", f"{gone}.log", f"{gone}.error.json", ".manifest.json.x.tmp", "x"):
        (tmp_path / name).touch()
    clear(tmp_path, {kept})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {kept, f"{kept}.log", "notes", "002_my-own-folder", "x"}


def test_a_study_has_one_process_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from llem_core.files import StudyLock\n"
        "with StudyLock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdin is not None
    with other.stdout, other.stdin:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StudyError, match=f"pid {other.pid}"), StudyLock(tmp_path):
            pass
        other.kill()  # the kernel lets go of it
        other.wait()
    with StudyLock(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
        with (tmp_path / ".lock").open("w") as again, pytest.raises(BlockingIOError):
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with StudyLock(tmp_path):
        pass


def test_a_lock_leaves_alone_what_stands_in_its_place(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / ".lock").symlink_to(target)
    with pytest.raises(StudyError, match="it is a link"), StudyLock(tmp_path):
        pass
    assert target.read_text() == "mine"
    (tmp_path / ".lock").unlink()
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(StudyError, match="no ordinary file"), StudyLock(tmp_path):
        pass


def test_a_file_system_without_locks_is_told_of_and_used(tmp_path: Path) -> None:
    taken = []

    def none(descriptor: int, how: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    with StudyLock(tmp_path, (none, lambda descriptor, how: taken.append(how))) as lock:
        assert lock.warning is None
    assert len(taken) == 1
    with StudyLock(tmp_path, (none, none)) as lock:
        assert lock.warning is not None
        assert "has no locks" in lock.warning


def test_a_signal_waits_for_the_end_of_a_shielded_part() -> None:
    reached = []

    def work() -> None:
        with Interrupts() as interrupts:
            with interrupts.shielded():
                with interrupts.shielded():
                    signal.raise_signal(signal.SIGINT)
                    signal.raise_signal(signal.SIGINT)
                reached.append("inner")
            reached.append("outer")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["inner"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_signal_waits_for_the_clearing_up_after_the_first() -> None:
    reached = []

    def work() -> None:
        with Interrupts() as interrupts:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                signal.raise_signal(signal.SIGINT)
                with interrupts.shielded():
                    signal.raise_signal(signal.SIGINT)
                    reached.append("cleared up")
                reached.append("went on")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["cleared up"]


def test_a_signal_after_one_that_was_swallowed_counts() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with interrupts.shielded():
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_handler_of_the_programs_own_is_called() -> None:
    told = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM]


def test_a_signal_that_ends_the_process_does_so_after_the_block() -> None:
    code = """
import signal, sys
from llem_core.study.interrupts import Interrupts
try:
    with Interrupts():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
            print("cleaned", flush=True)
            raise
except KeyboardInterrupt:
    print("must not come here", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGTERM
    assert done.stdout == b"cleaned\n"


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    went_on = False
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGHUP)
            went_on = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert went_on


def test_everything_with_the_token_is_killed_and_nothing_else() -> None:
    sleep = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    family = f"{sleep!r}"
    parent = f"import subprocess; subprocess.run({family}, env={{}})"
    processes = {
        "1.": subprocess.Popen(sleep, env={MARKER: "t.1."}),
        "12.": subprocess.Popen(sleep, env={MARKER: "t.12."}, start_new_session=True),
        "parent": subprocess.Popen([sys.executable, "-S", "-c", parent], env={MARKER: "t.1."}),
        "other": subprocess.Popen(sleep),
    }
    pid = processes["parent"].pid
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not children.read_text():
        time.sleep(0.01)
    (grandchild,) = map(int, children.read_text().split())
    try:
        kill_all("t.1.")
        assert processes["1."].wait() == processes["parent"].wait() == -signal.SIGKILL
        while Path(f"/proc/{grandchild}").exists():
            time.sleep(0.01)
        assert processes["12."].poll() is processes["other"].poll() is None
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def test_an_empty_log_is_not_pointed_at(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    for text in (None, "", "printed"):
        if text is not None:
            log.write_text(text)
        died = describe_death(1, phase=None, broken=None, oom_kills_before=None, log=log)
        assert ("what it printed is in run.log" in died.message) == bool(text)
