"""The job's own process, started as SLURM would start it, without SLURM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from llem_core.contracts import LaunchFailure, LaunchSuccess, LaunchTask
from llem_core.events import ExperimentFinished, ExperimentStarted
from llem_core.testing.conformance.launching.subject import (
    BEATS,
    Action,
    beating,
    installed,
    make_task,
)
from llem_slurm.job import TOLD_TO_END
from llem_slurm.mailbox import Inbox, Mailboxes


@pytest.fixture(autouse=True)
def with_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LLEM_DISABLE_PLUGINS", "llem-pytorch,llem-energy-codecarbon")
    (tmp_path / BEATS).mkdir()
    with installed():
        yield


def started(study: Path, action: Action) -> tuple[subprocess.Popen[bytes], Inbox, LaunchTask]:
    task = make_task(study, action, 1)
    box = Mailboxes(study).new(task)
    program = f"from llem_slurm.job import run; run({str(box)!r})"
    variables = {"SLURM_JOB_ID": "18", "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "1"}
    environment = {**os.environ, **variables, "SLURMD_NODENAME": "n7"}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    return process, Inbox(box), task


def test_a_run_that_ends_well(tmp_path: Path) -> None:
    job, inbox, task = started(tmp_path, "end")
    assert job.wait(60) == 0
    assert inbox.started is not None
    assert (inbox.started.node, inbox.started.job_id) == ("n7", "17_1")
    told = [type(event) for event in inbox.events()]
    assert (told[0], told.count(ExperimentFinished)) == (ExperimentStarted, 1)
    ended = inbox.ended
    assert isinstance(ended, LaunchSuccess)
    assert (tmp_path / ended.result_file).stat().st_size == ended.size_bytes
    assert ended.result_file.startswith(f"{task.folder}/")


def test_a_worker_that_dies_is_told_with_how_it_died(tmp_path: Path) -> None:
    job, inbox, task = started(tmp_path, "die")
    assert job.wait(60) == 0
    ended = inbox.ended
    assert isinstance(ended, LaunchFailure)
    assert ended.error_type == "WorkerDied"
    assert "exited with code 3, and gave no result" in ended.message
    assert (tmp_path / f"{task.folder}.log").exists()


def test_a_job_that_is_told_to_end_leaves_no_process(tmp_path: Path) -> None:
    job, inbox, _ = started(tmp_path, "go_on")
    until_s = time.monotonic() + 60
    while len(list((tmp_path / BEATS).iterdir())) < 2:
        assert time.monotonic() < until_s
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)
    assert job.wait(60) == 0
    assert beating(tmp_path, 0.3) == []
    ended = inbox.ended
    assert isinstance(ended, LaunchFailure)
    assert ended.error_type == TOLD_TO_END
    assert "SIGTERM" in ended.message


def test_a_task_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.mkdir()
    (box / "task.json").write_text('{"protocol": 99, "llem": "9.0"}\n')
    program = f"from llem_slurm.job import run; run({str(box)!r})"
    subprocess.run([sys.executable, "-c", program], check=True)
    ended = Inbox(box).ended
    assert isinstance(ended, LaunchFailure)
    assert "install the same version of llem-core" in ended.message
