"""An interrupted study leaves runs that outlive it, or cancels them, as it is told."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from llem_core.config.loader import study_from
from llem_core.contracts import Event, LaunchTask, Running
from llem_core.study.record.manifest import load_manifest
from llem_core.testing import QueueLauncher
from llenergymeasure import StudyConfig, StudyResult, StudyRunner

pytestmark = pytest.mark.usefixtures("scripted")


def study() -> StudyConfig:
    return study_from(
        {
            "model": "m",
            "backend": "scripted",
            "baseline": {"enabled": False},
            "warmup": {"enabled": False},
            "sweep": {"n": [1, 2, 3]},
        }
    )


class Interrupted(QueueLauncher):
    """Ctrl+C is pressed while its second job waits in the queue."""

    number = signal.SIGINT

    def start(self, task: LaunchTask) -> Running:
        job = super().start(task)
        if len(self.jobs) == 2:
            plain = job.events

            def events(timeout_s: float) -> Iterator[Event]:
                job.events = plain  # type: ignore[method-assign]
                signal.raise_signal(self.number)
                yield from ()

            job.events = events  # type: ignore[method-assign]
        return job


OnInterrupt = Literal["cancel", "leave"] | Callable[[int, int | None], Any]


def take(launcher: QueueLauncher, directory: Path, decide: OnInterrupt = "cancel") -> StudyResult:
    runner = StudyRunner(study(), directory, launcher=launcher, gaps=False, on_interrupt=decide)
    return runner.run()


def statuses(directory: Path) -> list[str]:
    return [entry.status for entry in load_manifest(directory).runs()]


def test_runs_that_are_left_are_found_again(tmp_path: Path) -> None:
    launcher = Interrupted(slots=2, polls_in_queue=3)
    with pytest.raises(KeyboardInterrupt):
        take(launcher, tmp_path, "leave")
    assert load_manifest(tmp_path).status == "interrupted"
    assert statuses(tmp_path) == ["running", "running", "pending"]
    assert [job.result() for job in launcher.jobs.values()] == [None, None]
    assert take(launcher, tmp_path).status == "completed"
    assert len(launcher.jobs) == 3
    assert [entry.attempt for entry in load_manifest(tmp_path).runs()] == [1, 1, 1]


def test_they_are_cancelled_by_default(tmp_path: Path) -> None:
    launcher = Interrupted(slots=2, polls_in_queue=3)
    with pytest.raises(KeyboardInterrupt):
        take(launcher, tmp_path)
    assert statuses(tmp_path) == ["interrupted", "interrupted", "pending"]
    assert None not in [job.result() for job in launcher.jobs.values()]


def test_what_decides_is_told_how_many_there_are_and_of_the_signal(tmp_path: Path) -> None:
    asked: list[tuple[int, int | None]] = []

    def decide(n_runs: int, number: int | None) -> str:
        asked.append((n_runs, number))
        return "leave"

    with pytest.raises(KeyboardInterrupt):
        take(Interrupted(slots=2, polls_in_queue=3), tmp_path, decide)
    assert asked == [(2, signal.SIGINT)]
    assert statuses(tmp_path)[:2] == ["running", "running"]


def test_a_second_interrupt_in_answer_to_the_question_cancels(tmp_path: Path) -> None:
    def decide(n_runs: int, number: int | None) -> str:
        signal.raise_signal(signal.SIGINT)
        return "leave"

    launcher = Interrupted(slots=2, polls_in_queue=3)
    with pytest.raises(KeyboardInterrupt):
        take(launcher, tmp_path, decide)
    assert statuses(tmp_path) == ["interrupted", "interrupted", "pending"]


class Mortal(Interrupted):
    """Its runs end with the study's process."""

    outlives_study = False


def test_runs_that_cannot_go_on_are_never_left(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        take(Mortal(slots=2, polls_in_queue=3), tmp_path, "leave")
    assert statuses(tmp_path) == ["interrupted", "interrupted", "pending"]
