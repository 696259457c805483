"""What the client wrote into an offline run, read with the client's own messages."""

import json
import struct

from llem_core.testing import finished_study
from wandb.proto.wandb_internal_pb2 import Record

from llem_wandb.config import WandbConfig
from llem_wandb.figures import settings
from llem_wandb.sink import WandbSink

_BLOCK, _HEADER = 32768, 7


def records(file):
    """The records of a ``.wandb`` file: LevelDB's log, after a header of seven bytes."""
    data, place, parts = file.read_bytes(), _HEADER, []
    while place + 7 <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        parts.append(data[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in {1, 4}:  # a whole record, or the last part of one
            record = Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


def runs(folder):
    """Configuration and summary of each run, by its kind."""
    found = {}
    for file in folder.glob("wandb/offline-run-*/run-*.wandb"):
        config, summary, kind = {}, {}, ""
        for record in records(file):
            if record.HasField("run"):
                kind = record.run.job_type or kind
                changed, into = record.run.config.update, config
            elif record.HasField("summary"):
                changed, into = record.summary.update, summary
            else:
                continue
            for item in changed:
                into[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
        found.setdefault(kind, []).append((config, summary, file.parent))
    return found


def test_an_experiment_is_a_run(measure, tmp_path):
    result = measure()
    ((config, summary, folder),) = runs(tmp_path)["experiment"]

    assert summary["energy_total_j"] == result.energy_total_j > 0
    assert summary["time_to_first_token_p50_s"] == result.time_to_first_token.p50_s
    assert config["n"] == 3
    assert config["scripted.token_time_s"] == 0.001
    assert config["llem"]["energy_method"] == result.energy_method
    read = json.loads((folder / "files" / "result.json").read_text())
    assert read["energy_total_j"] == result.energy_total_j


def test_no_energy_is_no_figure_and_a_reason(measure, tmp_path):
    result = measure(energy={"sampler": None})
    ((config, summary, _),) = runs(tmp_path)["experiment"]

    assert [name for name in summary if name.startswith("energy")] == []
    assert config["unavailable"]["energy_total_j"] == result.unavailable["energy_total_j"]


def test_a_secret_never_leaves(measure):
    result = measure(to_store=False).model_dump(mode="json")
    result["effective_config"]["passthrough_kwargs"] = {"hf_token": "hf_very"}

    assert settings(result)["passthrough_kwargs.hf_token"] == "…"


def test_a_study_is_a_run_too(tmp_path):
    (tmp_path / "made").mkdir()
    finished = finished_study(tmp_path / "made")
    WandbSink(WandbConfig(folder=str(tmp_path))).write_study(finished, tmp_path)
    ((config, summary, _),) = runs(tmp_path)["study"]

    assert config["study_name"] == "scripted"
    assert summary["n_runs"] == 2


def test_a_folder_that_cannot_be_written_costs_no_result(measure):
    result = measure(wandb={"folder": "/proc/none"})

    assert result.output_tokens == 12
    assert any("wandb" in warning for warning in result.measurement_warnings)
