"""Runs that are tried again after a failure that may not be there next time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llem_core.config.loader import study_from
from llem_core.contracts import Event, Launcher, LaunchFailure, LaunchTask, Running
from llem_core.events import RunEnded, RunRetried, RunStarted
from llem_core.study.record.manifest import load_manifest
from llem_core.testing import InlineLauncher, QueueLauncher
from llenergymeasure import StudyResult, StudyRunner

pytestmark = pytest.mark.usefixtures("scripted")


def take(
    launcher: Launcher, directory: Path, n: int = 2, **execution: Any
) -> tuple[StudyResult, list[Event]]:
    told: list[Event] = []
    content = {
        "model": "m",
        "backend": "scripted",
        "baseline": {"enabled": False},
        "warmup": {"enabled": False},
        "sweep": {"n": list(range(1, n + 1))},
        "execution": execution,
    }
    study = study_from(content)
    runner = StudyRunner(study, directory, launcher=launcher, listener=told.append, gaps=False)
    return runner.run(), told


class Patient(QueueLauncher):
    """A cluster, which tries once more by default."""

    retries = 1


def test_a_run_whose_node_is_lost_is_tried_again_and_counts_once(tmp_path: Path) -> None:
    launcher = Patient(slots=1, lost=(1,), nodes=("n1", "n2"))
    result, told = take(launcher, tmp_path)
    assert (result.summary.n_completed, result.summary.n_failed) == (2, 0)
    first, second = load_manifest(tmp_path).runs()
    assert (first.attempt, first.run_id, first.node) == (2, "job-2", "n2")
    assert first.retried_after == "NodeLost: the node of job-1 is gone"
    assert first.error is None
    assert (second.attempt, second.retried_after) == (1, None)
    (again,) = [event for event in told if isinstance(event, RunRetried)]
    assert (again.position, again.attempt, again.node) == (1, 1, "n1")
    assert [e.attempt for e in told if isinstance(e, RunStarted)] == [1, 2, 1]
    assert [e.status for e in told if isinstance(e, RunEnded)] == ["completed", "completed"]
    (warning,) = [w for w in result.warnings if "tried again" in w]
    assert "n=1 in cycle 1 (NodeLost: the node of job-1 is gone)" in warning
    assert sorted(p.name for p in tmp_path.glob("*_c1")) == sorted(
        str(Path(e.result_file or "").parent) for e in (first, second)
    )
    (aside,) = tmp_path.glob("*.error.json")
    assert aside.name.endswith("_c1.attempt-1.error.json")
    take(launcher, tmp_path)  # what is known of a run that was completed in the end stays
    assert aside.exists()


def test_it_is_tried_as_often_as_asked_for_and_then_has_failed(tmp_path: Path) -> None:
    launcher = Patient(slots=1, lost=(1, 2, 3))
    result, told = take(launcher, tmp_path, retries=2)
    assert (result.summary.n_completed, result.summary.n_failed) == (1, 1)
    first, _ = load_manifest(tmp_path).runs()
    assert (first.status, first.attempt) == ("failed", 3)
    assert first.error == "NodeLost: the node of job-3 is gone"
    assert len([event for event in told if isinstance(event, RunRetried)]) == 2
    kept = {path.name.split("_c1.")[1]: path for path in tmp_path.glob("*.error.json")}
    assert set(kept) == {"attempt-1.error.json", "attempt-2.error.json", "error.json"}
    file = kept["error.json"]
    assert json.loads(file.read_text())["is_transient"]


@pytest.mark.parametrize(("kind", "retries"), [(Patient, 0), (QueueLauncher, None)])
def test_nothing_is_tried_again_where_it_was_not_asked_for(
    tmp_path: Path, kind: type[QueueLauncher], retries: int | None
) -> None:
    result, _ = take(kind(slots=1, lost=(1,)), tmp_path, retries=retries)
    assert result.summary.n_failed == 1


class Failing(InlineLauncher):
    """Its first run fails in the same way whenever it is run."""

    retries = 3

    def start(self, task: LaunchTask) -> Running:
        running = super().start(task)
        return _Broken() if len(self.tasks) == 1 else running


class _Broken(Running):
    def events(self, timeout_s: float) -> Iterator[Event]:
        yield from ()

    def result(self) -> LaunchFailure:
        return LaunchFailure("BackendError", "the model is broken")

    def kill(self) -> None: ...


def test_what_would_fail_again_is_not_tried_again(tmp_path: Path) -> None:
    launcher = Failing()
    result, _ = take(launcher, tmp_path)
    assert result.summary.n_failed == 1
    assert len(launcher.tasks) == 2


def test_a_block_goes_on_where_its_run_was_lost_on_another_node(tmp_path: Path) -> None:
    launcher = Patient(slots=1, lost=(2,), nodes=("n1", "n2"))
    result, _ = take(launcher, tmp_path, n=3, n_cycles=2, block="node", cycle_order="interleaved")
    assert result.summary.n_completed == 6
    nodes = [(entry.cycle, entry.node) for entry in load_manifest(tmp_path).runs()]
    # Job 2 was lost on n1; job 3, the same run, found its own node, and the block stays there.
    assert nodes[:3] == [(1, "n1"), (1, "n1"), (1, "n1")]
