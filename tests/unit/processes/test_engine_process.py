"""A program that a backend runs is watched, and ended with everything that it started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from llem_core.errors import BackendError
from llem_core.processes import CapturedOutput, EngineProcess, guard

LONG_S = 60.0

LEAVES_A_DAEMON = """
import subprocess, sys, time
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(600)
"""

OWNER = """
import sys, time
from llem_core.processes import EngineProcess
engine = EngineProcess([sys.executable, "-c", sys.argv[1]], "the engine")
engine.wait_until(lambda: "child" in engine.output.tail(), 60)
print(engine.pid, engine.output.tail().split()[1], flush=True)
time.sleep(600)
"""


def python(program: str, **options: object) -> EngineProcess:
    return EngineProcess([sys.executable, "-c", program], "the engine", **options)  # type: ignore[arg-type]


def gone(pid: int) -> bool:
    deadline_s = time.monotonic() + LONG_S
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_an_engine_that_dies_while_it_starts_shows_what_it_said() -> None:
    engine = python("import sys; print('no such model'); sys.exit(3)")
    with pytest.raises(BackendError, match=r"the engine .* exited with code 3; .*\nno such model"):
        engine.wait_until(lambda: False, LONG_S)
    engine.end()


def test_an_engine_that_is_killed_is_found_dead() -> None:
    engine = python("import time; print('up', flush=True); time.sleep(600)")
    engine.wait_until(lambda: engine.output.tail() == "up", LONG_S)
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(BackendError, match=r"was ended by SIGKILL; .*\nup"):
        engine.wait_until(lambda: False, LONG_S)
    engine.end()


def test_looking_at_an_engine_leaves_its_exit_code_to_others() -> None:
    engine = python("raise SystemExit(7)")
    while engine.is_alive():
        time.sleep(0.01)
    with pytest.raises(BackendError, match="exited with code 7"):
        engine.check()
    left = os.waitid(os.P_PID, engine.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    assert left is not None
    assert left.si_status == 7
    engine.end()


def test_an_engine_that_is_not_ready_in_time_says_so_and_goes_on() -> None:
    engine = python("import time; time.sleep(600)")
    with pytest.raises(BackendError, match=r"was not ready after 0.01 s; it printed nothing"):
        engine.wait_until(lambda: False, 0.01)
    assert engine.is_alive()
    engine.end()
    assert not engine.is_alive()
    engine.end()


def test_a_program_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(BackendError, match="the engine cannot be started: no-such-program"):
        EngineProcess(["no-such-program"], "the engine")


def test_an_engine_may_clean_up_when_it_is_told_to_end(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    engine = python(
        "import signal, sys, time\n"
        "def leave(*_):\n    print('left'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave); print('up', flush=True); time.sleep(600)",
        log=log,
    )
    engine.wait_until(lambda: "up" in engine.output.tail(), LONG_S)
    engine.end()
    assert log.read_text() == "up\nleft\n"


def test_an_engine_that_refuses_to_end_is_killed_with_its_daemons() -> None:
    engine = python(
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LEAVES_A_DAEMON,
        grace_s=0.05,
    )
    engine.wait_until(lambda: "child" in engine.output.tail(), LONG_S)
    child = int(engine.output.tail().split()[1])
    engine.end()
    assert gone(engine.pid)
    assert gone(child)


def test_an_engine_does_not_outlive_a_killed_owner() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, LEAVES_A_DAEMON], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    owner.kill()
    owner.communicate()
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


def test_its_environment_is_this_one_and_what_is_set_for_it() -> None:
    engine = python(
        "import os; print(os.environ['ENGINE_ONLY'], 'PATH' in os.environ)",
        environment={"ENGINE_ONLY": "yes"},
    )
    with pytest.raises(BackendError, match="yes True"):
        engine.wait_until(lambda: False, LONG_S)
    engine.end()
    assert "ENGINE_ONLY" not in os.environ


def test_what_is_printed_within_is_kept_and_only_its_end_is_told(
    capfd: pytest.CaptureFixture[str],
) -> None:
    output = CapturedOutput()
    with output.redirected():
        print("from Python")
        subprocess.run(["sh", "-c", "echo from a child >&2"], check=True)
    print("outside")
    assert sorted(output.tail().splitlines()) == ["from Python", "from a child"]
    os.write(output.fileno(), b"x" * 10_000 + b"the end")
    assert output.tail().endswith("the end")
    assert len(output.tail()) < 5_000
    output.close()
    assert output.tail() == ""
    assert capfd.readouterr().out == "outside\n"


@pytest.mark.parametrize("n_after", [0, 10, *range(3990, 4006)])
def test_a_secret_is_not_told_not_even_in_part(n_after: int) -> None:
    output = CapturedOutput(hidden=["s3cr3t"])
    os.write(output.fileno(), b"a" * 5_000 + b"s3cr3t" + b"x" * n_after)
    assert set(output.tail()) <= set("ax*")
    output.close()


@pytest.mark.parametrize(("told", "left"), [(b"", True), (guard.ENDED, False)])
def test_a_guard_runs_its_command_unless_all_is_over(
    told: bytes, left: bool, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    guard.start_guard("no-such-token", ["touch", str(mark)]).communicate(told)
    assert mark.exists() is left
