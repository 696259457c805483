"""What MLflow's own client reads back of experiments and studies."""

import json
from pathlib import Path

import pytest
from llem_core.contracts.sink import FinishedRun, FinishedStudy
from llem_core.testing import InlineLauncher, finished_study
from llenergymeasure import run_study
from mlflow import MlflowClient

from llem_mlflow.config import MlflowConfig
from llem_mlflow.figures import settings
from llem_mlflow.sink import MlflowSink

FIELDS = {
    "model": "any",
    "backend": "scripted",
    "max_output_tokens": 4,
    "baseline": {"enabled": False},
    "warmup": {"enabled": False},
}


def section_in(folder):
    return {"tracking_uri": f"sqlite:///{folder}/mlflow.db", "experiment": "nights"}


@pytest.fixture
def client(tmp_path):
    return MlflowClient(tracking_uri=section_in(tmp_path)["tracking_uri"])


def runs(client, more=""):
    (experiment,) = [e for e in client.search_experiments() if e.name == "nights"]
    return client.search_runs([experiment.experiment_id], more, order_by=["start_time"])


def artifact(client, run, name, folder):
    file = client.download_artifacts(run.info.run_id, name, str(folder))
    return json.loads(Path(file).read_text())


def test_an_experiment_is_a_run(measure, client, tmp_path):
    result = measure()
    (run,) = runs(client)

    assert run.info.status == "FINISHED"
    assert run.data.metrics["energy_total_j"] == result.energy_total_j > 0
    assert run.data.metrics["output_tokens"] == 12
    assert run.data.metrics["time_to_first_token_p50_s"] == result.time_to_first_token.p50_s
    assert run.data.params["n"] == "3"
    assert run.data.params["scripted.token_time_s"] == "0.001"
    assert run.data.tags["llem.energy_method"] == result.energy_method
    assert run.data.tags["llem.measurement_config_hash"] == result.measurement_config_hash
    read = artifact(client, run, "result.json", tmp_path)
    assert read["energy_total_j"] == result.energy_total_j


def test_no_energy_is_no_metric_and_a_reason(measure, client):
    result = measure(energy={"sampler": None})
    (run,) = runs(client)

    assert [name for name in run.data.metrics if name.startswith("energy")] == []
    told = run.data.tags["unavailable.energy_total_j"]
    assert told == result.unavailable["energy_total_j"]
    assert "energy_total_j" not in run.data.params


def test_every_quantity_has_its_unit_in_its_name(measure, client):
    measure()
    (run,) = runs(client)
    counts = ("n_", "input_tokens", "output_tokens", "padded", "truncated", "total_flops")
    for name in run.data.metrics:
        with_unit = name.endswith(("_j", "_w", "_s", "_bytes", "_per_second", "_utilisation"))
        assert with_unit or name.startswith(counts), name


def test_a_secret_never_leaves(measure, client):
    result = measure().model_dump(mode="json")
    result["effective_config"]["passthrough_kwargs"] = {"hf_token": "hf_very", "url": "a://u:p@h/"}
    told = settings(result)

    assert told["passthrough_kwargs.hf_token"] == "…"
    assert told["passthrough_kwargs.url"] == "a://…@h/"


def test_tags_of_the_section(measure, client, tmp_path):
    measure(mlflow={**section_in(tmp_path), "tags": {"team": "inference"}})
    (run,) = runs(client)

    assert run.data.tags["team"] == "inference"


def test_a_study_is_a_run_above_its_own(fakes, client, tmp_path):
    content = {
        **FIELDS,
        "name": "night",
        "mlflow": section_in(tmp_path),
        "sweep": {"n": [1, 2]},
        "execution": {"n_cycles": 2},
    }
    study = run_study(content, output_dir=tmp_path, launcher=InlineLauncher(), gaps=False)
    (parent,) = runs(client, "tags.`llem.study` = 'night'")
    children = runs(client, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")

    assert len(children) == 4 == len(runs(client)) - 1
    assert sorted(run.data.tags["llem.cycle"] for run in children) == ["1", "1", "2", "2"]
    assert parent.data.metrics["n_completed"] == 4
    assert parent.data.params["n_cycles"] == "2"
    read = artifact(client, parent, "study_result.json", tmp_path)
    assert read["study_design_hash"] == study.study_design_hash


def test_writing_again_changes_nothing(measure, client, tmp_path):
    measure()
    (file,) = (tmp_path / "results").glob("*/result.json")
    sink = MlflowSink(MlflowConfig(**section_in(tmp_path)))
    for _ in range(2):
        sink.write_study(_study(tmp_path, [file]), tmp_path)

    assert len(runs(client)) == 2


def test_a_result_that_cannot_be_read_is_told_and_the_rest_is_written(measure, client, tmp_path):
    measure(to_store=False)
    (file,) = (tmp_path / "results").glob("*/result.json")
    sink = MlflowSink(MlflowConfig(**section_in(tmp_path)))
    with pytest.raises(OSError, match="gone"):
        sink.write_study(_study(tmp_path, [tmp_path / "gone" / "result.json", file]), tmp_path)

    assert len(runs(client)) == 2


def test_a_store_that_cannot_be_written_costs_no_result(measure):
    result = measure(mlflow={"tracking_uri": "sqlite:////proc/none/mlflow.db"})

    assert result.output_tokens == 12
    assert any("mlflow" in warning for warning in result.measurement_warnings)


def _study(folder, files):
    (folder / "made").mkdir(exist_ok=True)
    found = [
        FinishedRun(n, "0" * 16, n, "any", "completed", file, None)
        for n, file in enumerate(files, start=1)
    ]
    return FinishedStudy(finished_study(folder / "made").result, found)
