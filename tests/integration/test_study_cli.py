"""``llem run`` with studies as a user runs them: real processes over a cheap backend plugin."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from llem_core.results.study import StudyResult

PLUGIN = """
import dataclasses, os, pathlib, subprocess, time
from llem_core.contracts import BackendSpec, CheckReport, hookimpl
from llem_core.testing import ScriptedBackend, ScriptedConfig

LLEM_CONTRACT = 2

class Cheap(ScriptedBackend):
    def load(self):
        print("printed by the worker")
        if os.environ.get("HANG"):
            pathlib.Path("hanging").touch()
            time.sleep(60)
        if pathlib.Path("broken").exists() and self.workload.precision == "fp16":
            raise RuntimeError("it is broken")
        info = super().load()
        if os.environ.get("ENGINE_DIES"):
            self.engine = subprocess.Popen(["sleep", "600"])
            info = dataclasses.replace(info, process_ids=(self.engine.pid,))
        return info

    def generate(self, batch):
        if os.environ.get("ENGINE_DIES"):
            self.engine.kill()
            time.sleep(600)
        return super().generate(batch)

    def engine_output(self):
        return "the last words of the engine"

@hookimpl
def llem_backends():
    return [BackendSpec("cheap", "Cheap.", ScriptedConfig, Cheap, lambda w: CheckReport())]
"""
STUDY = """
name: cheap-study
model: any
backend: cheap
n: 2
energy: {sampler: null}
warmup: {enabled: false}
sweep:
  precision: [fp32, fp16]
execution: {n_cycles: 2, cycle_order: interleaved, config_gap_seconds: 0, cycle_gap_seconds: 0}
"""
PROGRAM = "import sys; from llem_cli.main import main; sys.exit(main())"

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    site = tmp_path / "site"
    info = site / "cheap-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "cheap_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cheap\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[llem]\ncheap = cheap_plugin\n")
    (tmp_path / "study.yaml").write_text(STUDY)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]),
        "XDG_CONFIG_HOME": str(tmp_path),
        "LLEM_DISABLE_PLUGINS": "llem-pytorch,llem-energy-nvml,llem-energy-zeus,"
        "llem-energy-codecarbon",
        "TERM": "xterm",
    }

    def run(
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        stdout: int | io.TextIOWrapper = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        **variables: str,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "run", *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            cwd=tmp_path,
            env={**environment, **variables},
        )

    return run


def folder(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "results").iterdir()
    return found


def statuses(study: Path) -> list[str]:
    manifest = json.loads((study / "manifest.json").read_text())
    return [manifest["status"], *(entry["status"] for entry in manifest["experiments"])]


def on_terminal(start: Start, answer: str, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run with a terminal to ask on; gives the exit code and what was shown there."""
    ours, terminal = pty.openpty()
    process = start(*arguments, stdin=terminal, stderr=terminal, **variables)
    os.close(terminal)
    os.write(ours, answer.encode())
    shown = b""
    with io.FileIO(ours) as reader:
        while True:
            try:
                chunk = reader.read(4096)
            except OSError:  # Linux says so at the end
                break
            if not chunk:
                break
            shown += chunk
    process.communicate()
    return process.returncode, shown.decode()


def test_a_study_from_its_file(start: Start, tmp_path: Path) -> None:
    out, err = start("study.yaml").communicate()
    study = folder(tmp_path)
    assert statuses(study) == ["completed"] * 5
    head, *lines = err.splitlines()
    assert head.startswith("Study cheap-study: 2 configurations × 2 cycles = 4 runs; in ")
    assert [line.split("  ")[0] for line in lines] == [
        f"[{position}/4] cycle {cycle}" for position, cycle in ((1, 1), (2, 1), (3, 2), (4, 2))
    ]
    assert [line.split()[-1] for line in lines] == ["precision=fp32", "precision=fp16"] * 2
    assert "runs                  4 of 4 completed" in out
    assert f"  - results/{study.name}/study_result.json" in out.splitlines()
    assert f"  - results/{study.name}/study.csv" in out.splitlines()


def test_json_is_the_result_alone(start: Start, tmp_path: Path) -> None:
    process = start("study.yaml", "--json", "--quiet", "--cycles", "1", "--order", "sequential")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    result = StudyResult.model_validate_json(out)
    written = (folder(tmp_path) / "study_result.json").read_text()
    assert result == StudyResult.model_validate_json(written)
    assert result.summary.n_completed == 2
    assert result.measurement_protocol.cycle_order == "sequential"


def test_a_failure_is_told_the_rest_runs_and_resuming_mends_it(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "broken").touch()
    process = start("study.yaml")
    out, err = process.communicate()
    assert process.returncode == 1
    study = folder(tmp_path)
    assert statuses(study) == ["failed", "completed", "failed", "completed", "failed"]
    assert err.count("it is broken") == 2
    failed = out.split("Failed runs\n")[1].split("\n\n")[0]
    assert failed.count("  - precision=fp16, cycle ") == 2
    assert "it is broken" in failed
    (tmp_path / "broken").unlink()
    out, err = start("--resume", "--dry-run").communicate()
    assert "2 of 4 runs" in out, err
    assert "for the files of what is left" in out
    process = start("--resume")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "4 runs, 2 of them completed before" in err
    assert err.count("precision=fp32") == 0
    assert "4 of 4 completed" in out
    assert folder(tmp_path) == study


@pytest.mark.full
def test_more_cycles_and_another_design(start: Start, tmp_path: Path) -> None:
    process = start("study.yaml", "--cycles", "3")
    process.communicate()
    assert process.returncode == 0
    name = folder(tmp_path).name
    # It goes on as it was started, though the file says 2 cycles; and by its name alone.
    process = start("study.yaml", "--resume", name, "--cycles", "4")
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert "8 runs, 6 of them completed before" in err
    process = start("study.yaml", "--resume", f"results/{name}", "-n", "3")
    _, err = process.communicate()
    assert process.returncode == 1
    assert "holds another study than the one asked for" in err
    process = start("--resume", f"results/{name}/manifest.json", "--cycles", "2")
    _, err = process.communicate()
    assert process.returncode == 1
    assert "4 cycles, and 2 are asked for" in err


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.full)],
)
def test_an_interrupt_tells_how_to_go_on(
    start: Start, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = start("study.yaml", HANG="1")
    while not (tmp_path / "hanging").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate()
    study = folder(tmp_path)
    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err
    assert statuses(study) == ["interrupted", "interrupted", "pending", "pending", "pending"]
    told = err.splitlines()[-1]
    assert told.startswith("Interrupted. 0 of 4 runs are completed, and kept in results/")
    command = told.split("Go on with: llem run ")[1].split()
    process = start(*command)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert statuses(study) == ["completed"] * 5


class TestCap:
    MANY = ("study.yaml", "--set", "execution.max_experiments=3")

    def test_no_is_no(self, start: Start, tmp_path: Path) -> None:
        code, shown = on_terminal(start, "n\n", *self.MANY)
        assert code == 2
        told = " ".join(shown.split())
        assert "4 runs to do (2 configurations × 2 cycles = 4 runs)" in told
        assert "Run it? [y/N]" in told
        assert told.endswith("Nothing was run.")
        assert not (tmp_path / "results").exists()

    @pytest.mark.full
    def test_yes_is_yes_and_quiet_asks_too(self, start: Start, tmp_path: Path) -> None:
        code, shown = on_terminal(start, "y\n", *self.MANY, "--quiet")
        assert code == 0
        assert "Run it? [y/N]" in shown
        assert "[1/4]" not in shown
        assert statuses(folder(tmp_path)) == ["completed"] * 5

    @pytest.mark.full
    def test_yes_beforehand(self, start: Start) -> None:
        process = start(*self.MANY, "--yes")
        _, err = process.communicate()
        assert process.returncode == 0
        assert "Run it?" not in err


class TestTerminal:
    def test_progress_with_a_countdown(self, start: Start) -> None:
        gaps = ("--cycles", "1", "--set", "execution.config_gap_seconds=1")
        code, shown = on_terminal(start, "", "study.yaml", *gaps)
        assert code == 0
        assert "\r\x1b[K[-----" in shown
        assert "pause, next experiment in 1 s" in shown
        assert "[#####-----] 1/2 | " in shown
        assert shown.endswith("\r\x1b[K")

    def test_a_dumb_terminal_gets_lines(self, start: Start) -> None:
        code, shown = on_terminal(start, "", "study.yaml", "--cycles", "1", TERM="dumb")
        assert code == 0
        assert "\x1b" not in shown
        assert "[2/2] cycle 1  completed" in shown


@pytest.mark.parametrize(
    "flag",
    [
        pytest.param(["--cycles", "1"], marks=pytest.mark.full),
        ["--order", "sequential"],
    ],
)
def test_an_experiment_becomes_a_study_of_one(
    start: Start, tmp_path: Path, flag: list[str]
) -> None:
    process = start("-m", "any", "-b", "cheap", "-n", "2", "--sampler", "none", "--no-gaps", *flag)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.startswith("Study ")
    assert f"Note: {flag[0]} makes a study of this one experiment." in err.splitlines()
    assert (folder(tmp_path) / "study_result.json").exists()


@pytest.mark.full
def test_one_experiment_past_its_time_is_ended_and_leaves_nothing(
    start: Start, tmp_path: Path
) -> None:
    process = start("-m", "any", "-b", "cheap", "-n", "2", "--timeout", "2", HANG="1")
    out, err = process.communicate()
    assert process.returncode == 1
    assert out == ""
    assert "the experiment was not done after 2 s and was ended" in err
    assert "makes a study" not in err
    assert not [path for path in tmp_path.rglob("*") if path.name == "result.json"]


def test_the_time_limit_of_a_file_makes_no_study(start: Start, tmp_path: Path) -> None:
    (tmp_path / "limited.yaml").write_text(
        "model: any\nbackend: cheap\nn: 2\nexecution: {experiment_timeout_seconds: 2}\n"
    )
    process = start("limited.yaml", HANG="1")
    _, err = process.communicate()
    assert process.returncode == 1
    assert "the experiment was not done after 2 s and was ended" in err


@pytest.mark.full
def test_an_engine_killed_in_mid_run_ends_the_run_at_once(start: Start, tmp_path: Path) -> None:
    process = start("-m", "any", "-b", "cheap", "-n", "2", ENGINE_DIES="1")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "was ended by SIGKILL; the end of what it printed:" in err
    assert "the last words of the engine" in err


def test_an_engine_killed_in_mid_run_fails_its_run_and_the_study_goes_on(
    start: Start, tmp_path: Path
) -> None:
    process = start("study.yaml", "--cycles", "1", ENGINE_DIES="1")
    process.communicate(timeout=120)
    assert process.returncode == 1
    manifest = json.loads((folder(tmp_path) / "manifest.json").read_text())
    errors = [entry["error"] for entry in manifest["experiments"]]
    assert len(errors) == 2
    assert all(error.startswith("BackendError: the engine's process ") for error in errors)
    assert all("was ended by SIGKILL" in error for error in errors)


@pytest.mark.full
def test_a_timeout_is_a_failure(start: Start, tmp_path: Path) -> None:
    process = start("study.yaml", "--cycles", "1", "--timeout", "2", HANG="1")
    out, _ = process.communicate()
    assert process.returncode == 1
    assert statuses(folder(tmp_path)) == ["failed"] * 3
    assert "2 of 2" not in out.split("Failed runs")[0]


def test_a_full_stdout_says_where_the_results_lie(start: Start, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = start("study.yaml", "--cycles", "1", stdout=full)
        _, err = process.communicate()
    assert process.returncode == 1
    where = folder(tmp_path).relative_to(tmp_path)
    assert f"No space left on device. The results lie in {where}." in err
