"""Services that a study keeps between its runs are started once, and end with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llem_core.errors import StudyError
from llem_core.plugins import Plugins, use_plugins
from llem_core.sinks import hooks as core_sinks
from llem_core.testing import InlineLauncher
from llenergymeasure import run_study

LIMIT_S = 60.0

PLUGIN = """
import os, pathlib, time
from llem_core.contracts import StudyService, hookimpl
from llem_core.errors import BackendError
from llem_core.processes import EngineProcess
from llem_core.testing import ScriptedBackend, scripted_backend

LLEM_CONTRACT = 2
LOG = pathlib.Path(os.environ["SERVICE_LOG"])

def note(what):
    with LOG.open("a") as log:
        log.write(what + "\\n")

class Words(StudyService):
    name, engine = "words", None

    def start(self):
        self.engine = EngineProcess(["sleep", "600"], "the server of words")
        note(f"started {self.engine.pid}")
        if os.environ.get("SERVICE_FAILS"):
            raise RuntimeError("no such model")
        return {"process_id": self.engine.pid}

    def end(self):
        if self.engine is not None:
            self.engine.end()
        note("ended")

class Asking(ScriptedBackend):
    def load(self):
        note(f"used {self.workload.services['words']['process_id']}")
        if os.environ.get("SERVICE_HANGS"):
            time.sleep(600)
        if os.environ.get("RUNS_FAIL"):
            raise BackendError("scripted")
        return super().load()

@hookimpl
def llem_backends():
    return [scripted_backend("asking", create=Asking)]

@hookimpl
def llem_study_services(workloads):
    return [Words()] if any(backend == "asking" for backend, _ in workloads) else []
"""
RUN = """
import sys
from llenergymeasure import run_study
from llem_core.plugins import Plugins, use_plugins
from llem_core.testing import InlineLauncher
import service_plugin
from llem_core.sinks import hooks as core_sinks
plugins = Plugins()
plugins.register(core_sinks)
plugins.register(service_plugin)
with use_plugins(plugins):
    run_study(
        {"name": "kept", "model": "any", "backend": "asking", "n": 1,
         "baseline": {"enabled": False}, "warmup": {"enabled": False}},
        output_dir="out", launcher=InlineLauncher(),
    )
"""
STUDY: dict[str, Any] = {
    "name": "kept",
    "model": "any",
    "backend": "asking",
    "n": 1,
    "sweep": {"asking.batch_size": [1, 2]},
    "execution": {"n_cycles": 2, "config_gap_seconds": 0, "cycle_gap_seconds": 0},
    "baseline": {"enabled": False},
    "warmup": {"enabled": False},
}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "service_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SERVICE_LOG", str(tmp_path / "service.log"))
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("service_plugin", None)
    return tmp_path / "service.log"


def run(tmp_path: Path) -> Any:
    import service_plugin  # type: ignore[import-not-found]

    plugins = Plugins()
    plugins.register(core_sinks)
    plugins.register(service_plugin)
    with use_plugins(plugins):
        return run_study(STUDY, output_dir=tmp_path / "out", launcher=InlineLauncher())


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pid_in(log: Path) -> int:
    return int(log.read_text().split()[1])


def test_it_is_started_once_and_used_by_every_run(log: Path, tmp_path: Path) -> None:
    assert run(tmp_path).status == "completed"
    pid = pid_in(log)
    assert log.read_text().splitlines() == [f"started {pid}", *[f"used {pid}"] * 4, "ended"]
    assert not alive(pid)


def test_it_ends_with_a_study_whose_runs_fail(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNS_FAIL", "1")
    assert run(tmp_path).status == "failed"
    assert log.read_text().splitlines()[-1] == "ended"
    assert not alive(pid_in(log))


def test_one_that_cannot_be_started_ends_the_study_and_is_ended(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_FAILS", "1")
    with pytest.raises(StudyError, match="the service 'words' cannot be started: .* no such model"):
        run(tmp_path)
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["started", "ended"]
    assert not alive(pid_in(log))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_a_study_that_a_signal_ends(
    log: Path, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "run.py").write_text(RUN)
    process = subprocess.Popen(
        [sys.executable, "run.py"],
        cwd=tmp_path,
        env={**os.environ, "SERVICE_HANGS": "1"},
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: log.exists() and "used" in log.read_text())
    process.send_signal(number)
    process.wait(LIMIT_S)
    pid = pid_in(log)
    wait_for(lambda: not alive(pid))
    assert ("ended" in log.read_text()) is (number != signal.SIGKILL)
