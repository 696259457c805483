from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llem_core.config.execution import ExecutionConfig
from llem_core.config.study import StudyConfig
from llem_core.config.sweep.expand import expand_grid
from llem_core.contracts import ResultSink
from llem_core.contracts.sink import FinishedRun, FinishedStudy
from llem_core.errors import StudyError
from llem_core.plugins import Plugins
from llem_core.results.study import StudyResult
from llem_core.study.deliver import deliver_study
from llem_core.study.plan import apply_cycles
from llem_core.study.summary.collect import assemble_study

pytestmark = pytest.mark.usefixtures("scripted")
Within = Callable[..., AbstractContextManager[Plugins]]


def study(n_cycles: int, n: int = 2, **fields: Any) -> StudyConfig:
    sweep = {"n": list(range(1, n + 1)), **fields}
    found = expand_grid({"model": "m", "backend": "scripted", "sweep": sweep})
    execution = ExecutionConfig(n_cycles=n_cycles, cycle_order="interleaved")
    return StudyConfig(
        experiments=found.experiments,
        labels=found.labels,
        skipped=found.skipped,
        n_generated=found.n_generated,
        execution=execution,
    )


def outcomes(
    found: StudyConfig, folder: Path, energies: Sequence[float | None], **more: Any
) -> list[FinishedRun]:
    """Completed runs in order, with these joules an output token."""
    runs = apply_cycles(found.experiments, found.execution, found.study_design_hash)
    done = []
    for run, energy in zip(runs, energies, strict=True):
        content = {
            "schema_version": 1,
            "measurement_config_hash": run.config_hash,
            "duration_s": 2.0,
            "output_tokens_per_second": 10.0,
            "energy_per_output_token_j": energy,
            "energy_adjusted_j": None,
            "energy_total_j": None if energy is None else energy * 100,
            "energy_method": None if energy is None else "counter",
            "energy_source": None if energy is None else "meter",
            **more,
        }
        file = Path(f"run-{run.position}") / "result.json"
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(json.dumps(content))
        label = found.label(run.config_hash)
        done.append(run.finished(label, "completed", folder / file))
    return done


def assembled(found: StudyConfig, runs: Sequence[FinishedRun], folder: Path) -> StudyResult:
    return assemble_study(
        found,
        runs,
        status="completed",
        started_at="2026-01-01T00:00:00Z",
        finished_at="2026-01-01T01:00:00Z",
        duration_total_s=3600,
        directory=folder,
    )


def test_statistics_ranks_and_totals(tmp_path: Path) -> None:
    found = study(3)
    result = assembled(found, outcomes(found, tmp_path, [5.0, 1.0, 5.1, 1.1, 5.2, 1.2]), tmp_path)
    first, second = result.configurations
    assert (first.label, first.rank, second.rank) == ("n=1", 2, 1)
    assert first.energy_per_output_token_j is not None
    assert first.energy_per_output_token_j.mean == pytest.approx(5.1)
    assert first.energy_per_output_token_j.interval_low is not None
    assert first.energy_adjusted_j is None
    assert first.indistinguishable_from_previous is False
    assert second.indistinguishable_from_previous is None
    assert result.summary.energy_total_j == pytest.approx(1860)
    assert result.summary.duration_measured_s == 12
    assert (result.summary.n_runs, result.summary.n_completed) == (6, 6)
    assert result.result_files[0] == "run-1/result.json"
    assert result.measurement_protocol.shuffle_seed is None
    assert StudyResult.model_validate_json(result.model_dump_json()) == result


def test_means_within_each_others_spread_are_tied(tmp_path: Path) -> None:
    found = study(3)
    result = assembled(found, outcomes(found, tmp_path, [5.0, 5.1, 5.4, 5.2, 5.2, 5.4]), tmp_path)
    assert [one.indistinguishable_from_previous for one in result.configurations] == [None, True]


def test_one_cycle_has_ranks_and_neither_interval_nor_comparison(tmp_path: Path) -> None:
    found = study(1)
    result = assembled(found, outcomes(found, tmp_path, [5.0, 1.0]), tmp_path)
    first = result.configurations[0]
    assert first.energy_per_output_token_j is not None
    assert first.energy_per_output_token_j.interval_low is None
    assert (first.rank, first.indistinguishable_from_previous) == (2, None)


def test_without_energy_there_is_no_rank_and_no_total(tmp_path: Path) -> None:
    found = study(2)
    result = assembled(found, outcomes(found, tmp_path, [None] * 4), tmp_path)
    assert result.summary.energy_total_j is None
    assert result.configurations[0].rank is None
    assert result.configurations[0].energy_per_output_token_j is None
    speed = result.configurations[0].output_tokens_per_second
    assert speed is not None
    assert speed.mean == 10


def test_damaged_missing_and_foreign_results_are_left_out_and_named(tmp_path: Path) -> None:
    found = study(3)
    runs = outcomes(found, tmp_path, [1.0] * 6)
    (tmp_path / "run-1" / "result.json").write_text('{"schema_ver')
    (tmp_path / "run-2" / "result.json").unlink()
    (tmp_path / "run-3" / "result.json").write_text((tmp_path / "run-4/result.json").read_text())
    (tmp_path / "run-4" / "result.json").write_text("[]")
    runs[4] = replace(runs[4], status="failed", result_file=None, error="out of memory")
    runs[5] = replace(runs[5], status="pending", result_file=None, error=None)
    result = assembled(found, runs, tmp_path)
    counts = result.summary
    assert (counts.n_completed, counts.n_failed, counts.n_not_run) == (0, 5, 1)
    assert result.result_files == []
    assert len(result.warnings) == 4
    for part in ("damaged", "cannot be read", "another configuration", "run-1/result.json"):
        assert any(part in warning for warning in result.warnings)


def test_numbers_that_are_none_are_no_figures(tmp_path: Path) -> None:
    found = study(1)
    runs = outcomes(found, tmp_path, [float("nan"), 1.0], energy_total_j=float("inf"))
    result = assembled(found, runs, tmp_path)
    assert result.configurations[0].energy_per_output_token_j is None
    assert result.summary.energy_total_j is None


def test_measured_and_estimated_energies_together_are_a_warning(tmp_path: Path) -> None:
    found = study(1)
    runs = outcomes(found, tmp_path, [1.0, 2.0])
    file = tmp_path / "run-2" / "result.json"
    file.write_text(file.read_text().replace('"counter"', '"estimated"'))
    result = assembled(found, runs, tmp_path)
    assert [one.energy_method for one in result.configurations] == ["counter", "estimated"]
    assert result.summary.energy_estimated is True
    assert "cannot be compared" in result.warnings[0]


def test_skipped_combinations_are_in_the_result(tmp_path: Path) -> None:
    found = study(1, precision=["fp16", "fp8"])
    result = assembled(found, outcomes(found, tmp_path, [1.0, 1.0]), tmp_path)
    assert result.summary.n_skipped == len(result.skipped) == 2
    assert (result.summary.n_generated, result.summary.n_configurations) == (4, 2)
    assert "fp8" in result.skipped[0].reason


def delivered(
    tmp_path: Path, extra: Sequence[ResultSink] = ()
) -> tuple[StudyResult, list[str], list[dict[str, str]]]:
    found = study(2)
    runs = outcomes(found, tmp_path, [1.0, 2.0, 1.5, 2.5], end_to_end_latency={"p50_s": 0.25})
    runs[3] = replace(runs[3], status="failed", result_file=None, error="killed, by a signal")
    (tmp_path / "run-2" / "result.json").write_text("{")
    result = assembled(found, runs, tmp_path)
    done = deliver_study(found, FinishedStudy(result, runs), tmp_path, extra)
    with (tmp_path / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return done.result, [file.name for file in done.files], rows


def test_study_csv_has_a_row_for_each_run(tmp_path: Path) -> None:
    _, files, rows = delivered(tmp_path)
    assert files == ["study_result.json", "study.csv"]
    assert [line["status"] for line in rows] == ["completed"] * 3 + ["failed"]
    assert [line["cycle"] for line in rows] == ["1", "1", "2", "2"]
    assert rows[0]["label"] == "n=1"
    assert rows[0]["energy_per_output_token_j"] == "1.0"
    assert rows[0]["end_to_end_latency_p50_s"] == "0.25"
    assert rows[0]["result_file"] == "run-1/result.json"
    assert "cannot be read" in rows[1]["error"]
    assert rows[1]["energy_per_output_token_j"] == ""
    assert rows[3]["error"] == "killed, by a signal"
    assert rows[3]["result_file"] == ""
    read = StudyResult.model_validate_json((tmp_path / "study_result.json").read_text())
    assert read.summary.n_completed == 2


class Broken(ResultSink):
    def write_study(self, finished: FinishedStudy, directory: Path) -> Sequence[Path]:
        raise RuntimeError("no luck")


def test_a_failing_sink_is_a_warning_in_the_record(tmp_path: Path) -> None:
    result, files, _ = delivered(tmp_path, [Broken(None)])
    assert "The sink Broken failed: RuntimeError: no luck." in result.warnings
    assert files == ["study_result.json", "study.csv"]
    assert "no luck" in (tmp_path / "study_result.json").read_text()


def test_a_record_that_cannot_be_written_says_that_nothing_is_lost(tmp_path: Path) -> None:
    found = study(1)
    runs = outcomes(found, tmp_path, [1.0, 2.0])
    result = assembled(found, runs, tmp_path)
    with pytest.raises(StudyError, match="resume"):
        deliver_study(found, FinishedStudy(result, runs), tmp_path / "gone")


def test_memory_does_not_grow_with_the_size_of_results(tmp_path: Path) -> None:
    found = study(20, 3)
    padding = "x" * 200_000
    runs = outcomes(found, tmp_path, [1.0] * 60, sample_outputs=[padding])
    tracemalloc.start()
    result = assembled(found, runs, tmp_path)
    deliver_study(found, FinishedStudy(result, runs), tmp_path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The 60 files together are 12 MB; one of them and what is made of it, about 1 MB.
    assert peak_bytes < 4_000_000
