"""Results loaded from folders in every state, as frames, in a notebook and in a list."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llem_core.errors import ConfigError, StudyError
from llem_core.results.views.progress import ProgressLine
from llem_core.results.views.study import study_blocks
from llem_core.study.reading.listing import list_results
from llem_core.testing import InlineLauncher
from llenergymeasure import (
    StudyResult,
    load_result,
    load_study,
    run_experiment,
    run_study,
)

pytestmark = pytest.mark.usefixtures("scripted")
FIELDS: dict[str, Any] = {
    "model": "m",
    "backend": "scripted",
    "baseline": {"enabled": False},
    "warmup": {"enabled": False},
    "max_output_tokens": 4,
}
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


@pytest.fixture
def study(tmp_path: Path) -> StudyResult:
    """Two configurations in two cycles."""
    content = {**FIELDS, "name": "s", "sweep": {"n": [1, 2]}, "execution": {"n_cycles": 2}}
    return run_study(content, output_dir=tmp_path, launcher=InlineLauncher(), gaps=False)


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    run_experiment(**FIELDS, n=2, output_dir=tmp_path)
    (file,) = tmp_path.glob("m_scripted_*/result.json")
    return file.parent


def change(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def test_a_study_that_was_run_is_loaded_as_it_was(study: StudyResult) -> None:
    folder = study.folder
    assert folder is not None
    assert load_study(folder) == study == load_study(folder / "study_result.json")
    assert load_study(folder / "manifest.json") == study


def test_a_result_is_loaded_from_its_folder_or_its_file(experiment: Path) -> None:
    result = load_result(experiment)
    assert result == load_result(experiment / "result.json")
    assert result.n_requests == 2


def test_a_row_a_run_has_the_figures_and_what_differs(study: StudyResult) -> None:
    rows = study.to_rows()
    assert [row["cycle"] for row in rows] == [1, 2, 1, 2]
    assert sorted(row["n"] for row in rows) == [1, 1, 2, 2]
    assert all(row["output_tokens"] == 4 * row["n_requests"] for row in rows)
    assert all(row["energy_total_j"] is None for row in rows)
    assert "effective.batch_size" not in rows[0]
    assert "max_output_tokens" not in rows[0]  # it is the same in all runs


def test_a_run_without_a_result_is_a_row_with_its_error(study: StudyResult) -> None:
    folder = study.folder
    assert folder is not None
    (folder / study.result_files[0]).write_text('{"schema_version": 2, "mod')

    def fail(manifest: dict[str, Any]) -> None:
        manifest["experiments"][1] |= {"status": "failed", "result_file": None, "error": "no"}

    change(folder / "manifest.json", fail)
    rows = study.to_rows()
    assert "cannot be read" in rows[0]["error"]
    assert rows[1]["error"] == "no"
    assert rows[1]["output_tokens"] is None
    assert rows[2]["error"] is None


def test_a_manifest_cannot_point_out_of_its_folder(study: StudyResult, tmp_path: Path) -> None:
    folder = study.folder
    assert folder is not None
    (tmp_path / "result.json").write_text((folder / study.result_files[0]).read_text())
    change(
        folder / "manifest.json",
        lambda m: m["experiments"][0].update(result_file="../result.json"),
    )
    assert "no file of this study" in study.to_rows()[0]["error"]


def test_a_frame_is_of_pandas(study: StudyResult) -> None:
    frame = study.to_frame()
    assert type(frame).__name__ == "DataFrame"
    assert list(frame["cycle"]) == [1, 2, 1, 2]
    assert len(study.to_frame("configuration")) == 2


def test_without_pandas_a_frame_is_rows(study: StudyResult) -> None:
    program = f"""
import sys
sys.modules["pandas"] = None
from llenergymeasure import load_study
rows = load_study({str(study.folder)!r}).to_frame()
print(type(rows).__name__, len(rows), type(rows[0]).__name__)
"""
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["list", "4", "dict"]


def test_loading_results_loads_no_pandas(study: StudyResult) -> None:
    program = f"""
import sys
from llenergymeasure import load_study
load_study({str(study.folder)!r})._repr_html_()
print("pandas" in sys.modules)
"""
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "False"


def test_statistics_keep_their_unit_last(study: StudyResult) -> None:
    row = study.to_rows("configuration")[0]
    assert row["output_tokens_per_second_n"] == 2
    assert row["energy_per_output_token_mean_j"] is None
    low, high = (row[f"output_tokens_per_second_interval_{end}"] for end in ("low", "high"))
    assert low <= row["output_tokens_per_second_mean"] <= high


def test_a_result_without_a_folder_says_what_to_do(study: StudyResult) -> None:
    loose = StudyResult.model_validate_json(study.model_dump_json())
    assert loose == study
    with pytest.raises(StudyError, match="load_study"):
        loose.to_frame()


def test_a_running_study_gives_what_is_there_and_says_so(study: StudyResult) -> None:
    folder = study.folder
    assert folder is not None
    (folder / "study_result.json").unlink()

    def rewind(manifest: dict[str, Any]) -> None:
        manifest["status"] = "running"
        manifest["experiments"][3] |= {"status": "pending", "result_file": None}

    change(folder / "manifest.json", rewind)
    found = load_study(folder)
    assert found.status == "running"
    assert "3 of 4 runs have a result" in found.warnings[0]
    assert (found.summary.n_completed, found.summary.n_not_run) == (3, 1)
    assert [len(found.to_rows()), len(found.result_files)] == [4, 3]
    assert {one.label for one in found.configurations} == {"n=1", "n=2"}


def test_a_half_written_study_result_is_made_anew_of_the_runs(study: StudyResult) -> None:
    folder = study.folder
    assert folder is not None
    (folder / "study_result.json").write_text('{"schema_version": 2, "study')
    found = load_study(folder)
    assert any("computed from the runs" in warning for warning in found.warnings)
    assert [one.n_completed for one in found.configurations] == [2, 2]
    means = [one.output_tokens_per_second for one in study.configurations]
    assert [one.output_tokens_per_second for one in found.configurations] == means


def test_what_a_lost_design_would_tell_is_unknown_and_not_zero(study: StudyResult) -> None:
    folder = study.folder
    assert folder is not None
    (folder / "study_result.json").unlink()
    known = load_study(folder).measurement_protocol
    assert (known.config_gap_seconds, known.experiment_timeout_seconds) == (
        study.measurement_protocol.config_gap_seconds,
        study.measurement_protocol.experiment_timeout_seconds,
    )
    for content in (None, "{half", "[]", '{"execution": 3}', "Infinity"):
        if content is None:
            (folder / "design.json").unlink()
        else:
            (folder / "design.json").write_text(content)
        found = load_study(folder)
        protocol = found.measurement_protocol
        assert protocol.config_gap_seconds is protocol.cycle_gap_seconds is None
        assert protocol.experiment_timeout_seconds is found.summary.n_generated is None
        assert sum("design.json cannot be read" in one for one in found.warnings) == 1
        shown = found._repr_html_()
        assert "order not known" in shown
        assert "0 s between" not in shown
        (pauses,) = (value for label, value in study_blocks(found)[0].rows if label == "pauses")
        assert pauses == "not known"


@pytest.mark.parametrize(
    "gap",
    [float("inf"), 10**400, -1, True, "60", None],
    ids=["endless", "too large", "negative", "a truth", "text", "null"],
)
def test_a_pause_that_is_no_length_of_time_is_unknown(study: StudyResult, gap: object) -> None:
    folder = study.folder
    assert folder is not None
    (folder / "study_result.json").unlink()
    change(folder / "design.json", lambda d: d["execution"].update(config_gap_seconds=gap))
    found = load_study(folder)
    assert found.measurement_protocol.config_gap_seconds is None
    assert "not known between experiments, 0 s between cycles" in found._repr_html_()


def test_what_a_study_skipped_and_merged_is_known_before_it_ends(tmp_path: Path) -> None:
    content = {**FIELDS, "name": "s", "sweep": {"n": [1, -1, 1]}}
    whole = run_study(content, output_dir=tmp_path, launcher=InlineLauncher(), gaps=False)
    assert whole.folder is not None
    assert whole.skipped
    (whole.folder / "study_result.json").unlink()
    found = load_study(whole.folder)
    assert (found.skipped, found.merged) == (whole.skipped, whole.merged)
    assert found.summary.n_generated == whole.summary.n_generated == 3
    (whole.folder / "design.json").unlink()
    assert load_study(whole.folder).skipped == whole.skipped


def test_a_newer_schema_is_refused_by_name(experiment: Path) -> None:
    change(experiment / "result.json", lambda content: content.update(schema_version=99))
    with pytest.raises(ConfigError, match="schema_version 99 is newer"):
        load_result(experiment)


def test_an_older_schema_is_loaded() -> None:
    for file in sorted((Path(__file__).parents[1] / "core" / "schema_1").glob("result*.json")):
        assert load_result(file).schema_version > 1


def test_folders_without_results_are_told(study: StudyResult, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="holds no results"):
        load_study(empty)
    with pytest.raises(ConfigError, match="cannot be read: No such"):
        load_result(tmp_path / "none")
    with pytest.raises(ConfigError, match="of its folders have"):
        load_study(tmp_path)
    with pytest.raises(ConfigError, match="load_study"):
        load_result(str(study.folder))


def test_the_short_form_is_one_line(study: StudyResult, experiment: Path) -> None:
    result = load_result(experiment)
    told = repr(result.model_copy(update={"model": HOSTILE}))
    assert "energy not measured" in told
    assert told.startswith("<ExperimentResult ")
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "\n" not in told
    assert str(study) == repr(study)
    assert repr(study).startswith("<StudyResult s, completed: 4 of 4 runs, 2 configurations")


def test_a_notebook_shows_the_summary_and_runs_nothing_of_it(experiment: Path) -> None:
    result = load_result(experiment).model_copy(update={"model": HOSTILE})
    page = result._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "not measured" in page
    assert "color:#" not in page  # the notebook's own colours, dark or light


def test_a_notebook_shows_a_study(study: StudyResult) -> None:
    page = study._repr_html_()
    assert page.count("<tr") > 4
    assert "n=1" in page
    assert "tokens/s" in page


def test_the_list_has_the_newest_first_and_what_is_broken(
    study: StudyResult, experiment: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "m_scripted_2001-01-01T00-00-00Z"
    broken.mkdir()
    (broken / "result.json").write_text("{")
    running = tmp_path / "r_2002-01-01T00-00-00Z"
    running.mkdir()
    (running / "manifest.json").write_text(
        json.dumps(
            {
                "manifest_version": 2,
                "study_name": "r",
                "study_design_hash": "0",
                "started_at": "2002-01-01T00:00:00Z",
                "experiments": [],
            }
        )
    )
    (tmp_path / "notes").mkdir()
    listing = list_results(tmp_path)
    assert {one.status for one in listing.entries[:2]} == {"completed"}
    assert [one.status for one in listing.entries[2:]] == ["running", "unreadable"]
    assert listing.entries[3].problem
    assert list_results(tmp_path, 1).n_all == 4


def test_a_result_survives_pickle_with_its_folder(study: StudyResult) -> None:
    again = pickle.loads(pickle.dumps(study))
    assert isinstance(again, StudyResult)
    assert again.folder == study.folder


def test_the_line_of_a_notebook_says_how_far_a_study_is(tmp_path: Path) -> None:
    told = io.StringIO()
    content = {**FIELDS, "name": "s", "model": "m\x1b[2J", "sweep": {"n": [1, 2]}}
    line = ProgressLine(told)
    run_study(content, output_dir=tmp_path, launcher=InlineLauncher(), gaps=False, listener=line)
    text = told.getvalue()
    assert "[2/2] cycle 1, n=2: completed" in text
    assert text.count("\n") == 1
    assert "2 completed, 0 failed" in text.rpartition("\r")[2]
    assert "\x1b" not in text


def test_a_script_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run_experiment(**FIELDS, n=1)
    assert capsys.readouterr() == ("", "")
