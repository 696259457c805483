"""Text that came as bytes which are no UTF-8, in whatever foreign code hands over."""

from __future__ import annotations

from pathlib import Path

import pytest
from llem_core.api import run_and_save
from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.sink import FinishedExperiment, ResultSink
from llem_core.study.launch.worker import describe
from llem_core.study.record.manifest import (
    ManifestEntry,
    ManifestWriter,
    StudyManifest,
    load_manifest,
)
from llenergymeasure import ExperimentResult

FIELDS = {
    "model": "m",
    "backend": "scripted",
    "n": 1,
    "baseline": {"enabled": False},
    "warmup": {"enabled": False},
}
ODD = "odd \udcff text"


class Odd(ResultSink):
    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> list[Path]:
        raise RuntimeError(ODD)


@pytest.mark.usefixtures("scripted")
def test_a_variable_and_a_failing_sink_do_not_cost_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTN_IMPLEMENTATION", ODD)
    saved = run_and_save(ExperimentConfig.model_validate(FIELDS), tmp_path, sinks=[Odd(None)])
    assert saved.error is None
    read = ExperimentResult.model_validate_json(saved.files[0].read_text())
    assert read == saved.result
    assert read.environment_snapshot.variables["ATTN_IMPLEMENTATION"] == "odd \\udcff text"
    assert any("odd \\udcff text" in warning for warning in read.measurement_warnings)


def test_a_failure_does_not_cost_the_manifest(tmp_path: Path) -> None:
    failure = describe(RuntimeError(ODD), None)
    assert failure.message == "odd \\udcff text"
    state = StudyManifest(
        study_name="s",
        study_design_hash="0" * 16,
        started_at="now",
        experiments=[ManifestEntry(config_hash="1" * 16, cycle=1)],
    )
    writer = ManifestWriter(tmp_path, state)
    writer.mark_running("1" * 16, 1)
    writer.mark_failed("1" * 16, 1, ODD)
    (entry,) = load_manifest(tmp_path).experiments
    assert entry.error == "odd \\udcff text"
