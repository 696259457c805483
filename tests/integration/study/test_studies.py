"""Studies end to end: real processes, a real plugin, real files."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest
from llem_core.config.loader import study_from
from llem_core.contracts import Launcher
from llem_core.contracts.messages import LaunchSuccess, LaunchTask, decode, encode
from llem_core.events import (
    Event,
    GapProgress,
    PhaseProgress,
    RunEnded,
    RunStarted,
    StudyFailed,
    StudyFinished,
    StudyStarted,
)
from llem_core.study.launch.spawn import SpawnLauncher
from llem_core.study.record.manifest import StudyManifest, load_manifest
from llenergymeasure import ExperimentResult, StudyResult, StudyRunner, run_study

pytestmark = pytest.mark.usefixtures("installed")
Study = Callable[..., dict[str, Any]]
TWO = {"studious.batch_size": [1, 2]}


def of(kind: type[Event], told: list[Event]) -> list[Any]:
    return [event for event in told if isinstance(event, kind)]


def run(
    content: dict[str, Any], folder: Path, **more: Any
) -> tuple[StudyResult, Path, list[Event]]:
    told: list[Event] = []
    result = run_study(content, output_dir=folder, listener=told.append, **more)
    (directory,) = folder.iterdir()
    return result, directory, told


def test_two_configurations_in_two_cycles(study: Study, tmp_path: Path) -> None:
    note = tmp_path / "note"
    content = study(TWO, {"n_cycles": 2, "cycle_order": "interleaved"}, note=str(note))
    result, directory, told = run(content, tmp_path / "out")
    assert result.status == "completed"
    assert (result.summary.n_runs, result.summary.n_completed) == (4, 4)
    manifest = load_manifest(directory)
    assert manifest.status == "completed"
    assert [entry.cycle for entry in manifest.runs()] == [1, 1, 2, 2]
    assert [entry.result_file for entry in manifest.runs()] == result.result_files
    for entry in manifest.runs():
        assert entry.result_file is not None
        found = ExperimentResult.model_validate_json((directory / entry.result_file).read_text())
        assert found.measurement_config_hash == entry.config_hash
    # A process, and a session, for each experiment; none of them this one.
    lines = {tuple(line.split()[:2]) for line in note.read_text().splitlines()}
    assert len({pid for pid, _ in lines}) == len({session for _, session in lines}) == 4
    assert str(os.getpid()) not in {pid for pid, _ in lines}
    assert {entry.run_id for entry in manifest.runs()} == {session for _, session in lines}
    (started,) = of(StudyStarted, told)
    assert (started.n_runs, started.n_completed, started.directory) == (4, 0, str(directory))
    assert [event.position for event in of(RunStarted, told)] == [1, 2, 3, 4]
    assert [event.status for event in of(RunEnded, told)] == ["completed"] * 4
    assert of(RunEnded, told)[-1].remaining_s == 0
    assert of(RunEnded, told)[0].remaining_s > 0
    (finished,) = of(StudyFinished, told)
    assert (finished.status, finished.n_completed) == ("completed", 4)
    assert {p.name for p in directory.iterdir() if not p.is_dir()} >= {
        *("manifest.json", "design.json", "study_result.json", "study.csv", ".lock")
    }


def test_a_failure_is_noted_and_the_study_goes_on(study: Study, tmp_path: Path) -> None:
    content = study({"studious.fail_at": ["load", None], "studious.batch_size": [1, 2]})
    result, directory, told = run(content, tmp_path)
    assert result.status == "failed"
    assert (result.summary.n_completed, result.summary.n_failed) == (2, 2)
    ended = of(RunEnded, told)
    assert [e.status for e in ended] == ["failed", "failed", "completed", "completed"]
    assert ended[0].error == "BackendError: scripted failure at load"
    (path, _) = sorted(directory.glob("*.error.json"))
    failure = json.loads(path.read_text())
    assert failure["phase"] == "load"
    assert "scripted failure at load" in failure["traceback"]
    failed = [entry for entry in load_manifest(directory).runs() if entry.status == "failed"]
    assert [entry.result_file for entry in failed] == [None, None]


@pytest.mark.parametrize(
    ("action", "kind", "told"),
    [
        ("exit", "WorkerDied", "exited with code 0 and without a result"),
        ("crash", "WorkerKilled", "signal SIGSEGV"),
        ("memory", "OutOfMemoryError", "MemoryError"),
        ("fork_and_die", "WorkerDied", "exited with code 3"),
    ],
)
def test_the_ways_to_die(study: Study, tmp_path: Path, action: str, kind: str, told: str) -> None:
    _, directory, events = run(study(action=action), tmp_path)
    (ended,) = of(RunEnded, events)
    assert ended.error.startswith(f"{kind}: ")
    assert told in ended.error
    (path,) = directory.glob("*.error.json")
    assert json.loads(path.read_text())["phase"] == "measure"
    if action == "crash":  # the stack of the crash is kept
        assert "studious_plugin.py" in json.loads(path.read_text())["traceback"]


@pytest.mark.parametrize("action", [pytest.param("hang", marks=pytest.mark.full), "hang_in_c"])
def test_what_takes_too_long_is_killed_with_all_that_it_started(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    # Python's own tracker lives as long as this process, and would have the mark, too.
    resource_tracker.ensure_running()
    monkeypatch.setenv("STUDIOUS_MARK", str(tmp_path))
    content = study(None, {"experiment_timeout_seconds": 6}, action=action)
    result, directory, told = run(content, tmp_path)
    assert result.status == "failed"
    (ended,) = of(RunEnded, told)
    assert ended.error.startswith("TimeoutError: the experiment was not done after 6 s of running")
    assert "in the step measure" in ended.error
    assert load_manifest(directory).experiments[0].status == "failed"
    assert marked(str(tmp_path)) == []


def marked(mark: str) -> list[int]:
    """Living processes, but this one, with the mark in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"STUDIOUS_MARK={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


@pytest.mark.parametrize("killed", ["worker", "its keeper"])
def test_a_daemon_of_a_killed_worker_is_found_although_nothing_marks_it(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    monkeypatch.setenv("STUDIOUS_MARK", str(tmp_path))
    ready = tmp_path / "ready"

    def kill() -> None:
        wait_for(ready.exists)
        (manifest,) = tmp_path.glob("out/*/manifest.json")
        keeper = int(load_manifest(manifest.parent).experiments[0].run_id or 0)
        os.kill(keeper if killed == "its keeper" else int(ready.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    _, _, told = run(study(action="daemon", note=str(ready)), tmp_path / "out")
    killer.join()
    (ended,) = of(RunEnded, told)
    assert ended.error.startswith("WorkerKilled: the process was killed by SIGKILL from outside")
    assert marked(str(tmp_path)) == []


def test_what_libraries_print_is_kept_beside_the_result(
    study: Study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, directory, _ = run(study(action="print"), tmp_path)
    (log,) = directory.glob("*.log")
    assert "printed by the plugin" in log.read_text()
    captured = capfd.readouterr()
    assert "printed by the plugin" not in captured.out + captured.err


def test_a_result_of_50_megabytes_and_1000_events_before_it(study: Study, tmp_path: Path) -> None:
    size = 50_000_000
    content = study(blob_bytes=size)
    warmup = {"n_warmup": 1000, "max_prompts": 1000, "convergence_detection": False}
    (config,) = study_from({**content, "warmup": warmup}).experiments
    task = LaunchTask(
        config.measurement_config_hash, config.model_dump(mode="json"), str(tmp_path), "run"
    )
    launcher = SpawnLauncher()
    running = launcher.start(task)
    try:
        told = list(running.events(120))
        ended = running.result()
    finally:
        running.kill()
        launcher.close()
    assert isinstance(ended, LaunchSuccess), ended
    assert len([event for event in told if isinstance(event, PhaseProgress)]) == 1000
    assert ended.size_bytes > size
    result = ExperimentResult.model_validate_json((tmp_path / ended.result_file).read_bytes())
    assert result.effective_config["effective"]["blob"] == "x" * size


def test_a_gap_is_counted_down_and_hides_the_start_of_the_next(
    study: Study, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    content = study(TWO, {"config_gap_seconds": 1.5}, note=str(note))
    _, directory, told = run(content, tmp_path / "out")
    gaps = of(GapProgress, told)
    assert [gap.kind for gap in gaps] == ["config"] * len(gaps)
    assert len(gaps) >= 2
    assert (gaps[0].total_s, gaps[-1].left_s) == (1.5, 0.0)
    ends = [n for n, event in enumerate(told) if isinstance(event, RunEnded)]
    assert all(ends[0] < told.index(gap) < ends[1] for gap in gaps)
    # Nothing but the pause makes a worker import the engine before it is needed.
    warm = [line.split()[2] for line in note.read_text().splitlines()]
    assert (warm[0], warm[-1]) == ("False", "True")
    assert load_manifest(directory).status == "completed"


def test_without_gaps_nothing_waits(study: Study, tmp_path: Path) -> None:
    content = study(TWO, {"config_gap_seconds": 3600})
    result, _, told = run(content, tmp_path, gaps=False)
    assert result.status == "completed"
    assert of(GapProgress, told) == []
    assert result.measurement_protocol.config_gap_seconds == 0


def test_a_worker_that_does_not_end_by_itself_costs_no_result(study: Study, tmp_path: Path) -> None:
    launcher = SpawnLauncher(grace_s=1.0)
    result, _, _ = run(study(action="linger"), tmp_path, launcher=launcher)
    assert result.status == "completed"


SCRIPT = """
import sys
sys.modules["torch"] = None  # whoever imports it here fails
import json
from llenergymeasure import run_study
content, output = json.loads(sys.argv[1]), sys.argv[2]
print("started", flush=True)
result = run_study(content, output_dir=output, resume=len(sys.argv) > 3 or None)
print(result.status, flush=True)
"""


def start(content: dict[str, Any], output: Path, site: Path, *more: str) -> subprocess.Popen[str]:
    script = output.parent / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, str(script), json.dumps(content), str(output), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(site), "STUDIOUS_MARK": str(output)},
    )


def wait_for(condition: Callable[[], Any]) -> Any:
    """The first true value; a test that waits too long is ended by its time limit."""
    while not (value := condition()):
        time.sleep(0.02)
    return value


def left_by(process: subprocess.Popen[str], output: Path) -> tuple[Path, StudyManifest]:
    """The study's folder and manifest, once its process and all of its workers are gone."""
    process.communicate()
    wait_for(lambda: marked(str(output)) == [])
    (directory,) = output.iterdir()
    return directory, load_manifest(directory)


def test_an_unguarded_script_runs_a_study(study: Study, tmp_path: Path, installed: Path) -> None:
    process = start(study(TWO), tmp_path / "out", installed)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.split() == ["started", "completed"]  # once, although two workers were spawned


@pytest.mark.parametrize("action", ["hang", "hang_in_c"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_parent_leaves_nothing_behind(
    study: Study, tmp_path: Path, installed: Path, number: signal.Signals, action: str
) -> None:
    output, note = tmp_path / "out", tmp_path / "note"
    process = start(study(action=action, note=str(note)), output, installed)
    wait_for(note.exists)
    process.send_signal(number)
    _, manifest = left_by(process, output)
    if number == signal.SIGKILL:
        assert process.returncode == -number
        assert manifest.status == "running"
        return
    assert process.returncode == -number
    assert manifest.status == "interrupted"
    assert [entry.status for entry in manifest.runs()] == ["interrupted"]


@pytest.mark.parametrize("between_s", [1e-4, 3e-4, 5e-4])
def test_two_signals_at_nearly_the_same_time(
    study: Study, tmp_path: Path, installed: Path, between_s: float
) -> None:
    output, note = tmp_path / "out", tmp_path / "note"
    process = start(study(action="hang", note=str(note)), output, installed)
    wait_for(note.exists)
    process.send_signal(signal.SIGINT)
    time.sleep(between_s)
    process.send_signal(signal.SIGTERM)
    _, manifest = left_by(process, output)
    assert manifest.status == "interrupted"
    assert [entry.status for entry in manifest.runs()] == ["interrupted"]


def test_an_interrupt_in_a_gap(study: Study, tmp_path: Path, installed: Path) -> None:
    output = tmp_path / "out"
    process = start(study(TWO, {"config_gap_seconds": 600}), output, installed)

    def one_is_done() -> bool:
        found = list(output.glob("*/manifest.json"))
        entries = load_manifest(found[0].parent).experiments if found else []
        return [entry.status for entry in entries] == ["completed", "pending"]

    wait_for(one_is_done)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    directory, manifest = left_by(process, output)
    assert manifest.status == "interrupted"
    assert [entry.status for entry in manifest.runs()] == ["completed", "pending"]
    again = start(study(TWO, {"config_gap_seconds": 600}), output, installed, "resume")
    _, err = again.communicate()
    assert again.returncode == 0, err
    entries = load_manifest(directory).experiments
    assert [(entry.status, entry.attempt) for entry in entries] == [("completed", 1)] * 2


def test_a_study_in_a_thread_of_an_embedder(study: Study, tmp_path: Path) -> None:
    results: list[StudyResult] = []
    thread = threading.Thread(
        target=lambda: results.append(run_study(study(TWO), output_dir=tmp_path))
    )
    thread.start()
    thread.join()
    assert [result.status for result in results] == ["completed"]


def test_a_listener_that_raises_ends_the_study_with_a_final_status(
    study: Study, tmp_path: Path
) -> None:
    told: list[Event] = []

    def listener(event: Event) -> None:
        told.append(event)
        if type(event) is RunEnded:
            raise RuntimeError("the display broke")

    with pytest.raises(RuntimeError, match="the display broke"):
        run_study(study(TWO), output_dir=tmp_path, listener=listener)
    (directory,) = tmp_path.iterdir()
    assert load_manifest(directory).status == "failed"
    (failed,) = of(StudyFailed, told)
    assert (failed.error_type, failed.message) == ("RuntimeError", "the display broke")


def test_two_processes_cannot_run_one_folder(study: Study, tmp_path: Path, installed: Path) -> None:
    output, note = tmp_path / "out", tmp_path / "note"
    content = study(action="hang", note=str(note))
    process = start(content, output, installed)
    wait_for(note.exists)
    (directory,) = output.iterdir()
    from llem_core.errors import StudyError

    try:
        with pytest.raises(StudyError, match=f"pid {process.pid}"):
            StudyRunner(study_from(content), directory).run()
        assert load_manifest(directory).pid == process.pid
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: marked(str(output)) == [])


def test_the_worker_is_a_program_too(study: Study, tmp_path: Path, installed: Path) -> None:
    (config,) = study_from(study(action="print")).experiments
    task = LaunchTask(
        config.measurement_config_hash, config.model_dump(mode="json"), str(tmp_path), "run"
    )
    done = subprocess.run(
        [sys.executable, "-m", "llem_core.study.launch.worker"],
        input=encode(task),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    *events, last = map(decode, done.stdout.splitlines())
    assert all(isinstance(event, Event) for event in events)
    assert isinstance(last, LaunchSuccess)
    assert (tmp_path / "run" / "result.json").is_file()
    assert b"printed by the plugin" in done.stderr


@pytest.mark.full
def test_the_launcher_example_runs_a_study(
    study: Study, tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    text = inspect.cleandoc(Launcher.__doc__ or "").split("::\n", 1)[1]
    block = text.split("\nAttributes:")[0]
    module: dict[str, Any] = {}
    exec(textwrap.dedent(block), module)
    content = study({"studious.action": [None, "exit", "sleep"]})
    content["execution"]["experiment_timeout_seconds"] = 10
    result, _, told = run(content, tmp_path, launcher=module["CommandLauncher"]())
    errors = [event.error for event in of(RunEnded, told)]
    assert errors[0] is None
    assert errors[1] == "WorkerDied: it ended with 0"
    assert errors[2] is not None
    assert errors[2].startswith("TimeoutError: ")
    assert result.measurement_protocol.process_isolation == "a command per experiment"


TORCH = """
import json, sys
from llenergymeasure import run_study
result = run_study(json.loads(sys.argv[1]), output_dir=sys.argv[2])
heavy = {"torch", "transformers"} & set(sys.modules)
print(result.status, result.summary.n_completed, sorted(heavy))
"""


@pytest.mark.full
def test_the_parent_of_a_pytorch_study_never_imports_torch(tmp_path: Path) -> None:
    content = {
        "name": "cpu",
        "model": "shape:tiny-llama",
        "n": 1,
        "max_output_tokens": 2,
        "energy": {"sampler": None},
        "warmup": {"enabled": False},
        "execution": {"n_cycles": 2, "cycle_gap_seconds": 0.5},
    }
    environment = {key: value for key, value in os.environ.items() if key != "LLEM_DISABLE_PLUGINS"}
    done = subprocess.run(
        [sys.executable, "-c", TORCH, json.dumps(content), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "completed 2 []"
