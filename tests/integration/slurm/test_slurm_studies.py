"""Studies whose runs are jobs of a real SLURM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from llem_core.errors import StudyError
from llem_core.study.record.manifest import load_manifest
from llenergymeasure import StudyResult, run_study

from tests.integration.slurm.conftest import Cluster, Study

pytestmark = [pytest.mark.usefixtures("cluster", "installed"), pytest.mark.timeout(180)]


def folder_of(output: Path) -> Path:
    (folder,) = output.iterdir()
    return folder


def notes(folder: Path) -> list[list[str]]:
    """What each run noted, in order: node, GPUs, set-up, job."""
    return [p.read_text().split("|") for p in sorted(folder.glob("[0-9]*"))]


def until(condition: Any, limit_s: float = 60) -> None:
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, "it has not happened"
        time.sleep(0.05)


def hand_out(tickets: Path, count: int) -> None:
    """Let so many runs go on, and no more."""
    for _ in range(count):
        (tickets / str(time.time_ns())).touch()


def counts(result: StudyResult) -> tuple[int, int]:
    return result.summary.n_completed, result.summary.n_failed


def test_runs_are_jobs_on_both_nodes_with_what_they_ask_for(
    tmp_path: Path, study: Study, cluster: Cluster
) -> None:
    (seen := tmp_path / "seen").mkdir()
    content = study(
        sweep={"max_output_tokens": [2, 3]},
        patient={"notes": str(seen)},
        slurm={
            "setup": ["export SETUP_RAN=yes"],
            "constraint": "here",
            "experiments": [{"match": {"max_output_tokens": 3}, "gpus": 2}],
        },
        resources={"gpus": 1, "cpus": 1, "memory_gib": 1},
    )
    result = run_study(content, output_dir=tmp_path / "out")
    assert counts(result) == (2, 0)
    assert sorted(n[1] for n in notes(seen)) == ["1", "2"]
    assert all(n[2] == "yes" for n in notes(seen))
    manifest = load_manifest(folder_of(tmp_path / "out"))
    assert sorted(n[3] for n in notes(seen)) == sorted(e.run_id or "" for e in manifest.runs())
    isolation = result.measurement_protocol.process_isolation
    assert isolation == "a SLURM job of its own for each experiment"
    assert cluster.jobs == []
    left = sorted(path.name for path in (folder_of(tmp_path / "out") / "slurm").iterdir())
    assert left == ["jobs", "name", "submitit"], "files of runs that went well are not kept"


@pytest.mark.full
def test_two_runs_never_share_a_node(tmp_path: Path, study: Study, cluster: Cluster) -> None:
    (seen := tmp_path / "seen").mkdir()
    content = study(
        sweep={"max_output_tokens": [2, 3, 4]},
        patient={"notes": str(seen), "until": str(tmp_path / "go")},
        slurm={"jobs": 3},
    )
    with started(content, tmp_path) as head:
        until(lambda: len(notes(seen)) == 2)
        assert {note[0] for note in notes(seen)} == {"n1", "n2"}
        time.sleep(1)
        assert len(notes(seen)) == 2, "the third one has no node to itself"
        assert sorted(cluster.jobs) == [f"{cluster.jobs[0].split('_')[0]}_{n}" for n in range(3)]
        (tmp_path / "go").touch()
        assert head.wait(60) == 0
    assert len(notes(seen)) == 3


def test_a_job_that_fails_says_what_slurm_wrote(tmp_path: Path, study: Study) -> None:
    result = run_study(
        study(slurm={"setup": ["echo no such module >&2; exit 7"]}), output_dir=tmp_path
    )
    assert counts(result) == (0, 1)
    (entry,) = load_manifest(folder_of(tmp_path)).runs()
    assert entry.error is not None
    assert entry.error.startswith("WorkerDied: job ")
    (told,) = folder_of(tmp_path).glob("*.error.json")
    assert "no such module" in told.read_text()


def test_what_slurm_refuses_ends_the_study_with_its_words(tmp_path: Path, study: Study) -> None:
    with pytest.raises(StudyError, match="invalid partition specified: nowhere"):
        run_study(study(slurm={"partition": "nowhere"}), output_dir=tmp_path)


@pytest.mark.full
def test_an_interrupt_leaves_no_job(tmp_path: Path, study: Study, cluster: Cluster) -> None:
    (seen := tmp_path / "seen").mkdir()
    content = study(
        sweep={"max_output_tokens": [2, 3, 4]},
        patient={"notes": str(seen), "until": str(tmp_path / "go")},
        slurm={"jobs": 3},
    )
    with started(content, tmp_path) as head:
        until(lambda: len(notes(seen)) == 2)
        head.send_signal(signal.SIGINT)
        assert head.wait(60) == 130
    assert cluster.jobs == []
    manifest = load_manifest(folder_of(tmp_path / "out"))
    assert manifest.status == "interrupted"
    assert {entry.status for entry in manifest.runs()} == {"interrupted"}


@pytest.mark.full
def test_the_death_of_the_head_loses_nothing(
    tmp_path: Path, study: Study, cluster: Cluster
) -> None:
    """Two configurations × four cycles, each cycle on one node; the head dies in the middle."""
    (seen := tmp_path / "seen").mkdir()
    (tickets := tmp_path / "go").mkdir()
    content = study(
        sweep={"max_output_tokens": [2, 3]},
        patient={"notes": str(seen), "until": str(tickets)},
        n_cycles=4,
    )
    hand_out(tickets, 2)
    with started(content, tmp_path) as head:
        until(lambda: len(notes(seen)) == 4)
        until(lambda: len(running(tmp_path)) == 2 and sorted(running(tmp_path)) == cluster.jobs)
        head.kill()
    before = running(tmp_path)
    with started(content, tmp_path, "--resume") as head:
        time.sleep(1)
        assert sorted(running(tmp_path)) == sorted(before)
        assert len(notes(seen)) == 4, "what runs must not be started again"
        hand_out(tickets, 6)
        assert head.wait(90) == 0
    entries = list(load_manifest(folder_of(tmp_path / "out")).runs())
    assert [e.status for e in entries] == ["completed"] * 8
    assert [e.attempt for e in entries] == [1] * 8, "every pair was started once"
    assert {e.run_id for e in entries} > set(before)
    assert len(notes(seen)) == 8, "and ran once"
    assert cluster.jobs == []
    nodes = {cycle: {e.node for e in entries if e.cycle == cycle} for cycle in range(1, 5)}
    assert all(len(mine) == 1 for mine in nodes.values()), nodes
    assert set.union(*nodes.values()) == {"n1", "n2"}


def running(tmp_path: Path) -> list[str]:
    """Jobs of the runs that the manifest calls running."""
    entries = load_manifest(folder_of(tmp_path / "out")).runs()
    return [e.run_id for e in entries if e.status == "running" and e.run_id]


@pytest.mark.full
def test_a_job_that_nobody_noted_is_ended(tmp_path: Path, study: Study, cluster: Cluster) -> None:
    """The head died between sbatch and its note: the job is still in the queue, or runs."""
    (seen := tmp_path / "seen").mkdir()
    content = study(patient={"notes": str(seen), "until": str(tmp_path / "go")})
    with started(content, tmp_path) as head:
        until(lambda: len(notes(seen)) == 1)
        head.kill()
    manifest = folder_of(tmp_path / "out") / "manifest.json"
    text = manifest.read_text()
    assert '"status":"running"' in text
    manifest.write_text(text.replace('"status":"running"', '"status":"pending"'))
    (orphan,) = cluster.jobs
    with started(content, tmp_path, "--resume") as head:
        until(lambda: len(notes(seen)) == 2)
        assert orphan not in cluster.jobs
        (tmp_path / "go").touch()
        assert head.wait(60) == 0
    assert cluster.jobs == []


@pytest.mark.full
def test_a_lost_node_is_that_runs_failure_and_resuming_takes_it_elsewhere(
    tmp_path: Path, study: Study, cluster: Cluster
) -> None:
    (seen := tmp_path / "seen").mkdir()
    content = study(
        sweep={"max_output_tokens": [2, 3]},
        patient={"notes": str(seen), "until": str(tmp_path / "go")},
        retries=0,
    )
    try:
        with started(content, tmp_path) as head:
            until(lambda: len(notes(seen)) == 2)
            cluster("stop-node", "n2")
            (tmp_path / "go").touch()
            assert head.wait(120) == 1
        entries = {e.node: e for e in load_manifest(folder_of(tmp_path / "out")).runs()}
        assert entries["n1"].status == "completed"
        assert entries["n2"].status == "failed"
        assert (entries["n2"].error or "").startswith("NodeLost: job ")
        with started(content, tmp_path, "--resume") as head:
            assert head.wait(60) == 0
        assert {e.node for e in load_manifest(folder_of(tmp_path / "out")).runs()} == {"n1"}
    finally:
        cluster("start-node", "n2")
        until(lambda: cluster.ask("sinfo", "-h", "-t", "idle", "-o", "%D") == "2")


@pytest.mark.full
def test_a_run_whose_node_is_lost_is_tried_again_on_another_one(
    tmp_path: Path, study: Study, cluster: Cluster
) -> None:
    (seen := tmp_path / "seen").mkdir()
    content = study(
        sweep={"max_output_tokens": [2, 3]},
        patient={"notes": str(seen), "until": str(tmp_path / "go")},
    )
    try:
        with started(content, tmp_path) as head:
            until(lambda: len(notes(seen)) == 2)
            cluster("stop-node", "n2")
            (tmp_path / "go").touch()
            assert head.wait(180) == 0
        entries = sorted(load_manifest(folder_of(tmp_path / "out")).runs(), key=lambda e: e.attempt)
        assert [(e.status, e.attempt, e.node) for e in entries] == [
            ("completed", 1, "n1"),
            ("completed", 2, "n1"),
        ]
        assert (entries[1].retried_after or "").startswith("NodeLost: job ")
        assert cluster.jobs == []
    finally:
        cluster("start-node", "n2")
        until(lambda: cluster.ask("sinfo", "-h", "-t", "idle", "-o", "%D") == "2")


@pytest.mark.full
def test_an_interrupt_leaves_the_jobs_where_that_is_asked_for(
    tmp_path: Path, study: Study, cluster: Cluster
) -> None:
    (seen := tmp_path / "seen").mkdir()
    content = study(
        sweep={"max_output_tokens": [2, 3]},
        patient={"notes": str(seen), "until": str(tmp_path / "go")},
    )
    with started(content, tmp_path, "--on-interrupt", "leave") as head:
        until(lambda: len(notes(seen)) == 2)
        head.send_signal(signal.SIGTERM)
        assert head.wait(60) == 143
    assert len(cluster.jobs) == 2
    manifest = load_manifest(folder_of(tmp_path / "out"))
    assert (manifest.status, len(running(tmp_path))) == ("interrupted", 2)
    (tmp_path / "go").touch()
    with started(content, tmp_path, "--resume") as head:
        assert head.wait(60) == 0
    entries = list(load_manifest(folder_of(tmp_path / "out")).runs())
    assert [(e.status, e.attempt) for e in entries] == [("completed", 1)] * 2
    assert len(notes(seen)) == 2
    assert cluster.jobs == []


class started:
    """A study's process, as a user starts it; killed at the end of the block."""

    def __init__(self, content: dict[str, Any], tmp_path: Path, *flags: str) -> None:
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump(content))
        llem = Path(sys.executable).with_name("llem")
        self.process = subprocess.Popen(
            [llem, "run", file, "--yes", "--output", tmp_path / "out", *flags],
            stdout=subprocess.DEVNULL,
            env=dict(os.environ),
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
