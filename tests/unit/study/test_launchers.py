"""Launchers with a queue, several slots, and runs that outlive the study's process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from llem_core.config.loader import study_from
from llem_core.contracts import (
    Availability,
    Event,
    Launcher,
    LauncherSpec,
    LaunchResult,
    LaunchSuccess,
    LaunchTask,
    Resources,
    Running,
    RunState,
    Section,
)
from llem_core.errors import ConfigError, PreFlightError, StudyError
from llem_core.events import RunEnded, RunMoved, RunStarted
from llem_core.plugins import Plugins
from llem_core.study.active import ActiveRun
from llem_core.study.plan import apply_cycles
from llem_core.study.record.checkpoint import open_study
from llem_core.study.record.manifest import load_manifest
from llem_core.study.take import task_of
from llem_core.testing import FakePlugin, InlineLauncher, QueueLauncher, scripted_backend
from llenergymeasure import StudyConfig, StudyResult, StudyRunner, run_study
from pydantic import Field

pytestmark = pytest.mark.usefixtures("scripted")
WithPlugins = Callable[..., AbstractContextManager[Plugins]]


def content(n: int = 4, **execution: Any) -> dict[str, Any]:
    return {
        "name": "s",
        "model": "m",
        "backend": "scripted",
        "baseline": {"enabled": False},
        "warmup": {"enabled": False},
        "sweep": {"n": list(range(1, n + 1))},
        "execution": execution,
    }


def take(
    study: StudyConfig, directory: Path, launcher: Launcher
) -> tuple[StudyResult, list[Event]]:
    told: list[Event] = []
    runner = StudyRunner(study, directory, launcher=launcher, listener=told.append, gaps=False)
    return runner.run(), told


def test_as_many_runs_are_under_way_as_there_are_slots(tmp_path: Path) -> None:
    launcher = QueueLauncher(slots=3, polls_in_queue=2)
    result, told = take(study_from(content(7)), tmp_path, launcher)
    assert result.status == "completed"
    assert launcher.most_at_once == 3
    kinds = [type(event) for event in told if isinstance(event, RunStarted | RunEnded)]
    assert kinds[:4] == [RunStarted, RunStarted, RunStarted, RunEnded]
    ended = [event for event in told if isinstance(event, RunEnded)]
    assert sorted(event.position for event in ended) == list(range(1, 8))
    assert ended[-1].remaining_s == 0
    assert [entry.run_id for entry in load_manifest(tmp_path).runs()] == list(launcher.jobs)


def test_where_a_run_waits_and_where_it_is_are_told_when_they_change(tmp_path: Path) -> None:
    launcher = QueueLauncher(slots=1, polls_in_queue=3, nodes=("n1", "n2"))
    _, told = take(study_from(content(2)), tmp_path, launcher)
    moves = [(e.position, e.run_id, e.node) for e in told if isinstance(e, RunMoved)]
    assert moves == [(1, "job-1", "n1"), (2, "job-2", "n2")]
    _, told = take(study_from(content(2)), tmp_path / "b", QueueLauncher(slots=1))
    assert not [e for e in told if isinstance(e, RunMoved)]


class AllAtOnce(QueueLauncher):
    """Notes how many runs it was asked for in one request."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots=slots, polls_in_queue=1)
        self.requests: list[int] = []

    def start_all(self, tasks: Sequence[LaunchTask]) -> Sequence[Running]:
        self.requests.append(len(tasks))
        return super().start_all(tasks)


def test_runs_that_may_begin_together_are_one_request(tmp_path: Path) -> None:
    launcher = AllAtOnce(slots=3)
    result, _ = take(study_from(content(7)), tmp_path, launcher)
    assert result.summary.n_completed == 7
    assert launcher.requests[0] == 3
    assert sum(launcher.requests) == 7


def test_a_request_that_fails_in_part_leaves_nothing(tmp_path: Path) -> None:
    class Full(QueueLauncher):
        def start(self, task: LaunchTask) -> Running:
            if len(self.jobs) == 2:
                raise OSError("no more room")
            return super().start(task)

    launcher = Full(slots=3)
    with pytest.raises(StudyError, match="no process can be started"):
        take(study_from(content(3)), tmp_path, launcher)
    assert [job.result() is not None for job in launcher.jobs.values()] == [True, True]
    assert {entry.status for entry in load_manifest(tmp_path).runs()} == {"pending"}


def test_one_slot_takes_one_run_after_another(tmp_path: Path) -> None:
    launcher = QueueLauncher(slots=1, polls_in_queue=2)
    assert take(study_from(content(3)), tmp_path, launcher)[0].status == "completed"
    assert launcher.most_at_once == 1


def test_a_lost_node_is_that_runs_failure_alone(tmp_path: Path) -> None:
    study = study_from(content(4, retries=0))
    result, _ = take(study, tmp_path, QueueLauncher(slots=2, lost=(2,)))
    assert (result.summary.n_completed, result.summary.n_failed) == (3, 1)
    (failed,) = [e for e in load_manifest(tmp_path).runs() if e.status == "failed"]
    assert failed.error == "NodeLost: the node of job-2 is gone"


class Ticking(Running):
    """A run whose every poll takes 100 s of a clock; it is queued at first, and never ends."""

    def __init__(self, polls_in_queue: int) -> None:
        self.now_s, self.polls = 0.0, 0
        self.polls_in_queue = polls_in_queue
        self.killed = False

    @property
    def state(self) -> RunState:
        return RunState.QUEUED if self.polls < self.polls_in_queue else RunState.RUNNING

    def events(self, timeout_s: float) -> Iterator[Event]:
        self.polls += 1
        self.now_s += 100
        yield from ()

    def result(self) -> LaunchResult | None:
        return None

    def kill(self) -> None:
        self.killed = True


def test_time_in_the_queue_counts_against_no_limit(tmp_path: Path) -> None:
    (planned, *_) = apply_cycles((study := study_from(content(1))).experiments, study.execution, "")
    running = Ticking(polls_in_queue=50)
    task = task_of(study, planned, tmp_path, 1)
    active = ActiveRun(planned, task, running, limit_s=250, clock=lambda: running.now_s)
    while not active.follow(1e9, lambda _: None):
        pass
    assert running.polls == 53  # 250 s are over in the third poll after the queue
    ended = active.end()
    assert running.killed
    assert not isinstance(ended, LaunchSuccess)
    assert ended.error_type == "TimeoutError"


def begun(study: StudyConfig, directory: Path, launcher: QueueLauncher) -> None:
    """What a study leaves whose process is killed while its first two runs are under way."""
    directory.mkdir(exist_ok=True)
    runs = apply_cycles(study.experiments, study.execution, study.study_design_hash)
    writer = open_study(study, directory, runs, "QueueLauncher")
    for planned in runs[:2]:
        running = launcher.start(task_of(study, planned, directory, len(runs)))
        writer.mark_running(*planned.key, run_id=running.run_id)


def test_a_resumed_study_attaches_to_runs_that_outlived_it(tmp_path: Path) -> None:
    study, launcher = study_from(content(4)), QueueLauncher(slots=2)
    begun(study, tmp_path, launcher)
    # One has ended in the meantime, the other one has not begun.
    done = next(iter(launcher.jobs.values()))
    list(done.events(1))
    assert isinstance(done.result(), LaunchSuccess)
    result, told = take(study, tmp_path, launcher)
    assert result.status == "completed"
    assert len(launcher.jobs) == 4
    entries = list(load_manifest(tmp_path).runs())
    assert [entry.attempt for entry in entries] == [1, 1, 1, 1]
    assert [entry.run_id for entry in entries] == ["job-1", "job-2", "job-3", "job-4"]
    assert [e.attempt for e in told if isinstance(e, RunStarted)] == [1, 1, 1, 1]


def test_a_run_that_cannot_be_found_again_starts_anew(tmp_path: Path) -> None:
    study, gone = study_from(content(2)), QueueLauncher()
    begun(study, tmp_path, gone)
    launcher = QueueLauncher()
    assert take(study, tmp_path, launcher)[0].status == "completed"
    assert [entry.attempt for entry in load_manifest(tmp_path).runs()] == [2, 2]


def test_another_launcher_is_not_asked_for_the_runs_of_the_first(tmp_path: Path) -> None:
    study, first = study_from(content(2)), QueueLauncher()
    begun(study, tmp_path, first)

    class Other(InlineLauncher):
        def attach(self, task: LaunchTask, run_id: str) -> Running | None:
            raise AssertionError("its ids mean nothing here")

    assert take(study, tmp_path, Other())[0].status == "completed"


class ShelfConfig(Section):
    """A launcher's section."""

    shelf: str = Field("a", description="Which shelf.")


def shelf(**changes: Any) -> tuple[LauncherSpec, list[Any]]:
    made: list[Any] = []

    def create(section: Section | None) -> Launcher:
        launcher = InlineLauncher()
        made.append((section, launcher))
        return launcher

    return LauncherSpec("shelf", "A shelf.", create, ShelfConfig, **changes), made


def run_with(spec: LauncherSpec, study: dict[str, Any], output: Path) -> StudyResult:
    plugins = Plugins()
    plugins.load_installed(())
    from llem_core.sinks import hooks as core_sinks

    plugins.register(core_sinks, "core-sinks")
    plugins.register(FakePlugin(backends=[scripted_backend()], launchers=[spec]))
    from llem_core.plugins import use_plugins

    with use_plugins(plugins):
        return run_study(study, output_dir=output, gaps=False)


def test_a_study_chooses_its_launcher_by_name(tmp_path: Path) -> None:
    spec, made = shelf(grants_resources=True)
    study = content(
        2, launcher="shelf", shelf={"shelf": "b"}, resources={"gpus": 2, "memory_gib": 1.5}
    )
    result = run_with(spec, study, tmp_path)
    assert result.status == "completed"
    ((section, launcher),) = made
    assert section == ShelfConfig(shelf="b")
    asked = Resources(gpus=2, memory_bytes=3 * 2**29, running_seconds=7200.0)
    assert [task.resources for task in launcher.tasks] == [asked] * 2
    (directory,) = tmp_path.iterdir()
    assert load_manifest(directory).launcher == "shelf"


@pytest.mark.parametrize(
    ("execution", "told"),
    [
        ({"launcher": "shelv"}, "there is no launcher 'shelv'; did you mean 'shelf'?"),
        ({"shelf": {"shelv": 1}}, "execution.shelf.shelv: unknown key; did you mean 'shelf'?"),
        ({"shelv": {}}, "execution.shelv: unknown key; did you mean 'shelf'?"),
    ],
)
def test_what_is_wrong_with_a_launchers_keys(
    execution: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        run_with(shelf()[0], content(1, **execution), tmp_path)
    assert told in str(caught.value)


def test_a_launcher_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    spec, made = shelf(availability=lambda: Availability(False, "no shelf is mounted"))
    with pytest.raises(PreFlightError, match="'shelf' cannot be used here: no shelf is mounted;"):
        run_with(spec, content(1, launcher="shelf"), tmp_path)
    assert made == []


def test_resources_that_nobody_grants_are_an_error(tmp_path: Path) -> None:
    study = content(1, launcher="shelf", resources={"gpus": 2})
    with pytest.raises(PreFlightError, match=r"execution.resources is set, .* cannot grant any"):
        run_with(shelf()[0], study, tmp_path)
