from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llem_core.config.loader import study_from
from llem_core.contracts import Event, Launcher, LaunchFailure, LaunchResult, LaunchTask, Running
from llem_core.errors import PreFlightError, StudyError
from llem_core.events import RunStarted, StudyStarted
from llem_core.study.launch.worker import execute
from llem_core.study.record.design import DESIGN, difference, load_design
from llem_core.study.record.manifest import MANIFEST, load_manifest
from llem_core.study.record.resume import resume_study
from llenergymeasure import StudyConfig, StudyResult, StudyRunner, run_experiment, run_study

pytestmark = pytest.mark.usefixtures("scripted")


class Inline(Launcher):
    """Runs experiments in this process; those on its list come to nothing."""

    def __init__(self, *failing: int) -> None:
        self.failing = failing
        self.tasks: list[LaunchTask] = []

    def start(self, task: LaunchTask) -> Running:
        self.tasks.append(task)
        return InlineRun(task, fails=len(self.tasks) in self.failing)


class InlineRun(Running):
    def __init__(self, task: LaunchTask, *, fails: bool) -> None:
        self.task, self.fails = task, fails
        self.ended: LaunchResult | None = None

    def events(self, timeout_s: float) -> Iterator[Event]:
        told: list[Event] = []
        by_hand = LaunchFailure("WorkerKilled", "by hand")
        self.ended = by_hand if self.fails else execute(self.task, told.append)
        yield from told

    def result(self) -> LaunchResult | None:
        return self.ended

    def kill(self) -> None:
        self.ended = self.ended or LaunchFailure("WorkerKilled", "it was killed")


def content(n: int = 2, cycles: int = 2, **execution: Any) -> dict[str, Any]:
    return {
        "name": "s",
        "model": "m",
        "backend": "scripted",
        "baseline": {"enabled": False},
        "warmup": {"enabled": False},
        "sweep": {"n": list(range(1, n + 1))},
        "execution": {"n_cycles": cycles, **execution},
    }


class Studies:
    """Starts studies in one output folder."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.told: list[Event] = []

    def run(
        self, study: dict[str, Any] | StudyConfig | None, *failing: int, resume: Any = None
    ) -> tuple[StudyResult, Inline]:
        launcher = Inline(*failing)
        self.told.clear()
        result = run_study(
            study,
            output_dir=self.output,
            resume=resume,
            launcher=launcher,
            gaps=False,
            listener=self.told.append,
        )
        return result, launcher

    @property
    def directory(self) -> Path:
        (found,) = self.output.iterdir()
        return found


@pytest.fixture
def studies(tmp_path: Path) -> Studies:
    return Studies(tmp_path / "out")


def keys(launcher: Inline) -> list[str]:
    return [task.folder.rpartition("_")[2] + task.config_hash[:4] for task in launcher.tasks]


def test_what_is_completed_stays_and_the_rest_runs(studies: Studies) -> None:
    first, before = studies.run(content(), 2, 3)
    assert (first.status, first.summary.n_failed) == ("failed", 2)
    kept = load_manifest(studies.directory).experiments[0]
    result, launcher = studies.run(None, resume=True)
    assert result.status == "completed"
    assert [t.folder for t in launcher.tasks] == [before.tasks[1].folder, before.tasks[2].folder]
    entries = load_manifest(studies.directory).experiments
    assert entries[0] == kept
    assert [entry.attempt for entry in entries] == [1, 2, 2, 1]
    assert [event.attempt for event in studies.told if isinstance(event, RunStarted)] == [2, 2]
    assert [event.position for event in studies.told if isinstance(event, RunStarted)] == [2, 3]
    (started,) = [event for event in studies.told if isinstance(event, StudyStarted)]
    assert (started.n_runs, started.n_completed) == (4, 2)
    assert result.summary.n_completed == 4
    assert not list(studies.directory.glob("*.error.json"))
    assert result.summary.duration_total_s > first.summary.duration_total_s


def test_the_same_study_by_its_content(studies: Studies) -> None:
    studies.run(content(), 1)
    result, launcher = studies.run(content(), resume=studies.directory)
    assert (result.status, len(launcher.tasks)) == ("completed", 1)


def test_more_cycles_top_it_up(studies: Studies) -> None:
    studies.run(content(cycles=1))
    before = {path.name for path in studies.directory.iterdir() if path.is_dir()}
    result, launcher = studies.run(content(cycles=3), resume=True)
    assert result.summary.n_completed == result.summary.n_runs == 6
    assert len(launcher.tasks) == 4
    assert [entry.cycle for entry in load_manifest(studies.directory).runs()] == [1, 2, 3] * 2
    folders = {path.name for path in studies.directory.iterdir() if path.is_dir()}
    assert before < folders
    assert len(folders) == 6
    assert load_design(studies.directory, result.study_design_hash).execution.n_cycles == 3


def test_fewer_cycles_than_are_completed_are_refused(studies: Studies) -> None:
    studies.run(content(cycles=3))
    with pytest.raises(StudyError, match="of 3 cycles, and 2 are asked for"):
        studies.run(content(cycles=2), resume=studies.directory)


@pytest.mark.parametrize("damage", ["missing", "cut", "other", "no data"])
def test_a_completed_run_whose_files_are_not_whole_runs_again(
    studies: Studies, damage: str
) -> None:
    studies.run(content(cycles=1))
    first, second = load_manifest(studies.directory).experiments
    assert first.result_file is not None
    assert second.result_file is not None
    path = studies.directory / first.result_file
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "other":
        path.write_bytes((studies.directory / second.result_file).read_bytes())
    else:
        (path.parent / "requests.parquet").unlink()
    result, launcher = studies.run(None, resume=studies.directory)
    assert result.summary.n_completed == 2
    assert [task.config_hash for task in launcher.tasks] == [first.config_hash]
    assert [e.attempt for e in load_manifest(studies.directory).experiments] == [2, 1]


def test_what_a_killed_study_left_is_cleared(studies: Studies) -> None:
    studies.run(content(cycles=1))
    directory = studies.directory
    path = directory / MANIFEST
    state = json.loads(path.read_text())
    state["status"] = state["experiments"][1]["status"] = "running"
    state["experiments"][1]["result_file"] = None
    path.write_text(json.dumps(state))
    half = directory / f"009_{state['experiments'][1]['config_hash']}_c1"
    half.mkdir()
    (half / "requests.parquet").touch()
    (directory / ".manifest.json.abc.tmp").touch()
    result, launcher = studies.run(None, resume=True)
    assert result.status == "completed"
    assert len(launcher.tasks) == 1
    assert not half.exists()
    assert not list(directory.glob(".*.tmp"))


def test_another_design_is_refused_and_the_difference_shown(studies: Studies) -> None:
    studies.run(content(n=2), 1)
    changed = content(n=2)
    changed["sweep"] = {"n": [1, 5]}
    with pytest.raises(StudyError) as caught:
        studies.run(changed, resume=True)
    told = str(caught.value)
    assert "no longer there is n=2 (nearest now: n: 2 → 5)" in told
    assert "new is n=5" in told
    assert f"llem run --resume {studies.directory}" in told


def test_the_difference_of_many_is_short() -> None:
    old = study_from(content(n=40))
    new = study_from({**content(n=40), "max_output_tokens": 7})
    told = difference(old, new)
    assert "and 35 more that are no longer there" in told
    assert "and 35 more that are new" in told
    assert "max_output_tokens: 128 → 7" in told
    assert difference(old, old) == ""


def test_the_latest_with_something_left_is_found(studies: Studies, tmp_path: Path) -> None:
    for number, failing in enumerate([(1,), (), (1,), ()]):
        studies.run({**content(n=number + 1, cycles=1), "name": f"s{number}"}, *failing)
    found = sorted(studies.output.iterdir())
    for age, directory in enumerate(reversed(found)):
        os.utime(directory / MANIFEST, ns=(10**18 - age * 10**9,) * 2)
    latest = resume_study(None, studies.output)
    assert latest.directory == found[2]
    assert (len(latest.study.experiments), len(latest.completed)) == (3, 2)
    # Asked for with its design, an older one comes first; one that is done, with more cycles.
    asked = study_from(content(n=1, cycles=1))
    assert resume_study(None, studies.output, asked).directory == found[0]
    more = study_from(content(n=4, cycles=2))
    assert resume_study(None, studies.output, more).directory == found[3]


def test_nothing_to_go_on_with(studies: Studies, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no study that has something left"):
        resume_study(None, tmp_path / "nowhere")
    studies.run(content(cycles=1))
    with pytest.raises(StudyError, match="no study that has something left"):
        resume_study(None, studies.output)
    with pytest.raises(StudyError, match="no study's folder"):
        resume_study(tmp_path, studies.output)


def test_a_finished_study_named_on_purpose_runs_nothing(studies: Studies) -> None:
    before, _ = studies.run(content(cycles=1))
    after, launcher = studies.run(None, resume=studies.directory)
    assert launcher.tasks == []
    assert after.result_files == before.result_files
    assert load_manifest(studies.directory).status == "completed"


@pytest.mark.parametrize("text", ["{", '{"schema": "of another tool"}'])
def test_a_manifest_that_is_none_is_refused(studies: Studies, text: str) -> None:
    studies.run(content(cycles=1), 1)
    (studies.directory / MANIFEST).write_text(text)
    for resume in (True, studies.directory):
        with pytest.raises(StudyError, match="is no manifest that this version"):
            studies.run(None, resume=resume)
    assert (studies.directory / MANIFEST).read_text() == text


@pytest.mark.parametrize("text", [None, "{", '{"experiments": []}'])
def test_without_its_design_the_study_file_is_needed(studies: Studies, text: str | None) -> None:
    studies.run(content(cycles=1), 1)
    design = studies.directory / DESIGN
    if text is None:
        design.unlink()
    else:
        design.write_text(text)
    with pytest.raises(StudyError, match="Name the study file as well"):
        studies.run(None, resume=True)
    result, _ = studies.run(content(cycles=1), resume=True)
    assert result.status == "completed"


def test_skipped_combinations_are_in_the_manifest(studies: Studies) -> None:
    study = content(cycles=2)
    study["sweep"] = {"n": [1, -1]}
    result, launcher = studies.run(study)
    assert (result.status, result.summary.n_skipped, len(launcher.tasks)) == ("completed", 1, 2)
    *_, skipped = load_manifest(studies.directory).experiments
    assert (skipped.status, skipped.cycle, skipped.result_file) == ("skipped", 0, None)
    assert skipped.error is not None
    assert skipped.error.startswith("n=-1: ")
    assert len(list(load_manifest(studies.directory).runs())) == 2


def test_a_study_of_nothing_is_refused(studies: Studies) -> None:
    from llem_core.errors import ConfigError

    with pytest.raises(ConfigError, match="no study to run"):
        studies.run(None)


@pytest.mark.parametrize("neighbour", ["{", '{"manifest_version": 9}', "\udc80"])
def test_a_broken_neighbour_is_told_of_and_passed_over(studies: Studies, neighbour: str) -> None:
    studies.run(content(cycles=1), 1)
    directory = studies.directory
    other = studies.output / "other"
    other.mkdir()
    (other / MANIFEST).write_text(neighbour, errors="surrogateescape")
    os.utime(directory / MANIFEST, (0, 0))
    found = resume_study(None, studies.output)
    assert found.directory == directory
    (told,) = found.notes
    assert str(other) in told
    assert resume_study(None, studies.output, study_from(content(cycles=1))).directory == directory


def edit(directory: Path, number: int, **changes: Any) -> None:
    path = directory / MANIFEST
    state = json.loads(path.read_text())
    state["experiments"][number].update(changes)
    path.write_text(json.dumps(state))


def edited_paths(directory: Path, files: list[str]) -> dict[str, str]:
    """What somebody may write into the second run's ``result_file``."""
    (directory.parent / "outside").mkdir(exist_ok=True)
    (directory.parent / "outside" / "result.json").write_bytes((directory / files[1]).read_bytes())
    return {
        "absolute": str(directory.parent / "outside" / "result.json"),
        "above": "../outside/result.json",
        "twice": files[0],
        "roundabout": f"{files[1].split('/')[0]}/../{files[1]}",
        "none": "",
    }


@pytest.mark.parametrize("kind", ["absolute", "above", "twice", "roundabout", "none"])
def test_the_files_of_a_run_are_found_whatever_the_manifest_says(
    studies: Studies, kind: str
) -> None:
    before, _ = studies.run(content(n=1, cycles=2))
    directory = studies.directory
    changed = edited_paths(directory, before.result_files)[kind]
    edit(directory, 1, result_file=changed)
    again = studies_in(studies.output, directory)
    assert again[0].result_files == before.result_files
    assert again[1].tasks == []


def studies_in(output: Path, directory: Path) -> tuple[StudyResult, Inline]:
    return Studies(output).run(None, resume=directory)


def test_a_run_whose_folder_is_a_link_runs_again_and_the_target_stays(studies: Studies) -> None:
    before, _ = studies.run(content(n=1, cycles=2))
    directory = studies.directory
    folder = directory / before.result_files[0].split("/")[0]
    target = studies.output / "target"
    folder.rename(target)
    folder.symlink_to(target)
    after, launcher = studies_in(studies.output, directory)
    assert len(launcher.tasks) == 1
    assert after.summary.n_completed == 2
    assert not folder.is_symlink()
    assert (target / "result.json").is_file()


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(studies: Studies) -> None:
    before, _ = studies.run(content(n=1, cycles=1))
    directory = studies.directory
    result = directory / before.result_files[0]
    result.unlink()
    os.mkfifo(result)
    _, launcher = studies_in(studies.output, directory)
    assert len(launcher.tasks) == 1
    (directory / MANIFEST).unlink()
    os.mkfifo(directory / MANIFEST)
    with pytest.raises(StudyError, match="no ordinary file"):
        resume_study(directory, studies.output)


def test_a_manifest_that_was_edited_is_refused_with_the_reason(studies: Studies) -> None:
    studies.run(content(n=1, cycles=2))
    directory = studies.directory
    text = (directory / MANIFEST).read_text()
    edit(directory, 0, config_hash="0123456789abcdef")
    with pytest.raises(StudyError, match="'0123456789abcdef' completed, and the study has no such"):
        resume_study(directory, studies.output)
    (directory / MANIFEST).write_text(text)
    edit(directory, 0, cycle=10**30)
    with pytest.raises(StudyError, match="cycle: Input should be less than or equal to 10000"):
        resume_study(directory, studies.output)
    state = json.loads(text)
    (directory / MANIFEST).write_text(json.dumps({**state, "elapsed_s": float("inf")}))
    with pytest.raises(StudyError, match="elapsed_s: Input should be a finite number"):
        resume_study(directory, studies.output)


SECRETS = {"api_key": "sk-very-secret", "nested": {"hf_token": "hf_very-secret"}, "plain": 3}


def test_what_is_secret_among_the_passed_arguments_is_in_no_file(studies: Studies) -> None:
    study = {**content(n=1, cycles=2), "passthrough_kwargs": SECRETS}
    studies.run(study, 2)
    files = [path for path in studies.directory.rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert [path for path in files if b"very-secret" in path.read_bytes()] == []
    (result,) = studies.directory.glob("*/result.json")
    told = json.loads(result.read_text())["effective_config"]["passthrough_kwargs"]
    assert told == {"api_key": "…", "nested": {"hf_token": "…"}, "plain": 3}
    with pytest.raises(
        StudyError, match=r"secret \(passthrough_kwargs.api_key, passthrough_kwargs.nested.hf_token"
    ):
        studies.run(None, resume=True)
    after, launcher = studies.run(study, resume=True)
    assert (after.summary.n_completed, len(launcher.tasks)) == (2, 1)


def test_a_folder_that_is_no_longer_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    study = study_from(content(n=1, cycles=1))
    with pytest.raises(StudyError, match="x cannot be made: the current folder does not exist"):
        StudyRunner(study, Path("x")).run()
    for wanted in ({"output_dir": None}, {"output_dir": "out"}):
        with pytest.raises(PreFlightError, match="the current folder does not exist any more"):
            run_study(study, **wanted)
    result = run_experiment(study.experiments[0])
    assert result.n_requests == 1
