"""Studies over a Ray cluster of two nodes, which are on this machine."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import ray
from llem_core.study.record.manifest import load_manifest
from ray.cluster_utils import Cluster

BACKEND = """
import time
from pathlib import Path
from llem_core.contracts import hookimpl
from llem_core.testing import scripted_backend
from llem_core.testing.backend import ScriptedBackend

LLEM_CONTRACT = 2


class Patient(ScriptedBackend):
    def load(self):
        folder = Path(__file__).parent
        (folder / f"seen-{time.monotonic_ns()}").touch()
        while not (folder / "go").exists():
            time.sleep(0.05)
        return super().load()


@hookimpl
def llem_backends():
    return [scripted_backend(create=Patient)]
"""
STUDY = """
name: study
model: any
backend: scripted
n: 1
energy: {sampler: null}
baseline: {enabled: false}
warmup: {enabled: false}
scripted: {token_time_s: 0.001}
sweep: {max_output_tokens: [2, 3]}
launcher: ray
execution:
  n_cycles: 2
  config_gap_seconds: 0
  cycle_gap_seconds: 0
  ray: {jobs: 2}
"""
RUN = """
import sys
from llenergymeasure import run_study
resume = True if sys.argv[1] == "resume" else None
study = None if resume else "study.yaml"
result = run_study(study, output_dir="out", resume=resume, on_interrupt="leave")
sys.exit(0 if result.status == "completed" else 1)
"""


@pytest.fixture(scope="module")
def cluster():
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_raylet_start_wait_time_s="180")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    made.add_node(num_cpus=2)
    yield made
    made.shutdown()


@pytest.fixture
def place(tmp_path, cluster, monkeypatch):
    (tmp_path / "patient_plugin.py").write_text(BACKEND)
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "run.py").write_text(RUN)
    info = tmp_path / "llem_patient-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llem-patient\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[llem]\npatient = patient_plugin\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def head(*arguments):
    return subprocess.Popen([sys.executable, "run.py", *(arguments or ("new",))])


def until(condition, limit_s=120):
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, "it has not happened"
        time.sleep(0.1)


def entries(place):
    (folder,) = (place / "out").iterdir()
    return list(load_manifest(folder).runs())


def seen(place):
    return len(list(place.glob("seen-*")))


def test_the_death_of_the_head_loses_nothing_and_cycles_stay_on_a_node(place):
    first = head()
    until(lambda: seen(place) == 2)
    first.kill()
    first.wait()
    assert [e.status for e in entries(place)].count("running") == 2
    (place / "go").touch()
    assert head("resume").wait(180) == 0
    runs = entries(place)
    assert [(e.status, e.attempt) for e in runs] == [("completed", 1)] * 4
    assert seen(place) == 4, "nothing ran twice"
    nodes = {cycle: {e.node for e in runs if e.cycle == cycle} for cycle in (1, 2)}
    assert [len(mine) for mine in nodes.values()] == [1, 1], nodes
    assert len(nodes[1] | nodes[2]) == 2, nodes
    (folder,) = (place / "out").iterdir()
    result = json.loads((folder / "study_result.json").read_text())
    assert result["measurement_protocol"]["process_isolation"].endswith(
        "on a node of a Ray cluster"
    )


def test_an_interrupted_study_leaves_its_runs_where_that_is_asked_for(place):
    first = head()
    until(lambda: seen(place) == 2)
    first.send_signal(signal.SIGTERM)  # SIGINT may be ignored from a script's background on
    first.wait(60)
    assert [e.status for e in entries(place)].count("running") == 2
    (place / "go").touch()
    assert head("resume").wait(180) == 0
    assert [e.attempt for e in entries(place)] == [1] * 4


def test_a_run_whose_worker_is_killed_is_tried_again(place):
    first = head()
    until(lambda: seen(place) == 2)
    ray.init(address=os.environ["RAY_ADDRESS"], namespace="llem", log_to_driver=False)
    try:
        name = next(e.run_id for e in entries(place) if e.status == "running")
        ray.kill(ray.get_actor(name, namespace="llem"), no_restart=True)
    finally:
        ray.shutdown()
    (place / "go").touch()
    assert first.wait(180) == 0
    assert sorted(e.attempt for e in entries(place)) == [1, 1, 1, 2]
    (again,) = [e for e in entries(place) if e.attempt == 2]
    assert again.retried_after.startswith("WorkerKilled: its actor was ended")
