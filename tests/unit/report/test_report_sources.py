"""What is read of folders in any state, and what is said of them first."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from llem_core.errors import ConfigError
from llem_report.facts.caveats import said_first
from llem_report.sources.gather import gather
from llem_report.sources.material import Material
from llem_report.testing.parts import Made
from llem_report.testing.study import write_experiment

SCHEMA_1 = Path(__file__).parents[1] / "core" / "schema_1" / "result_batch_1.json"
QUICK = Made(sample_s=10.0, n_requests=2)


def said(material: Material) -> str:
    return " ".join(said_first(material))


def copied(kinds: Path, name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kinds / name, tmp_path / name))


def test_a_finished_study_has_its_own_statistics(kinds: Path) -> None:
    (source,) = gather([kinds / "study"]).sources
    assert (source.kind, source.status, len(source.runs)) == ("study", "completed", 32)
    stored = json.loads((kinds / "study" / "study_result.json").read_text())
    assert [c.model_dump() for c in source.configurations] == stored["configurations"]
    assert said(gather([kinds / "study"])) == ""


@pytest.mark.parametrize(
    ("state", "words"), [("running", "still running"), ("interrupted", "was interrupted")]
)
def test_an_unfinished_study_gives_what_is_there_and_says_so(
    kinds: Path, state: str, words: str
) -> None:
    material = gather([kinds / state])
    (source,) = material.sources
    assert len(source.runs) == 3
    assert len(source.unfinished) == 3
    assert any(c.energy_per_output_token_j for c in source.configurations)
    assert words in said(material)
    assert "3 of 6 runs have a result" in said(material)


def test_a_study_in_which_all_failed_is_reported_with_the_errors(kinds: Path) -> None:
    material = gather([kinds / "failed"])
    (source,) = material.sources
    assert not source.runs
    assert "OutOfMemoryError" in str(source.unfinished[0].error)
    assert "All runs of the study “failed” failed" in said(material)
    assert "no figure to show" in said(material)


def test_a_damaged_run_is_left_out_by_name(kinds: Path, tmp_path: Path) -> None:
    folder = copied(kinds, "running", tmp_path)
    file = sorted(folder.glob("*/result.json"))[0]
    file.write_text(file.read_text()[:500])
    material = gather([folder])
    (source,) = material.sources
    assert len(source.runs) == 2
    assert str(file) in said(material)


def test_a_lost_manifest_costs_the_runs_without_a_result_alone(kinds: Path, tmp_path: Path) -> None:
    folder = copied(kinds, "study", tmp_path)
    (folder / "manifest.json").write_text("{")
    material = gather([folder])
    assert len(material.sources[0].runs) == 32
    assert "manifest.json cannot be used" in said(material)


@pytest.mark.parametrize("file", ["../outside/result.json", "/etc/passwd", "x/../../result.json"])
def test_a_manifest_leads_nowhere_else(kinds: Path, tmp_path: Path, file: str) -> None:
    folder = copied(kinds, "running", tmp_path)
    write_experiment(QUICK, tmp_path / "outside")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["experiments"][0]["result_file"] = file
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "no result of this study" in said(gather([folder]))


def test_an_older_result_is_read_and_called_one(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    shutil.copy(SCHEMA_1, tmp_path / "old" / "result.json")
    assert "older version of llem (schema 1, now 2)" in said(gather([tmp_path / "old"]))


def test_what_cannot_be_reported_is_an_error_of_usage(kinds: Path, tmp_path: Path) -> None:
    (tmp_path / "newer").mkdir()
    content = json.loads((kinds / "experiment" / "result.json").read_text())
    (tmp_path / "newer" / "result.json").write_text(json.dumps({**content, "schema_version": 99}))
    for folder, words in (
        (tmp_path / "none", "there is no folder"),
        (tmp_path, "1 of its folders have"),
        (tmp_path / "newer", "schema_version 99 is newer"),
    ):
        with pytest.raises(ConfigError, match=words) as error:
            gather([folder])
        assert error.value.exit_code == 2
    material = gather([tmp_path / "newer", kinds / "experiment"])
    assert "Left out" in said(material)
    assert len(list(material.runs)) == 1


def test_a_folder_that_is_named_twice_counts_once(kinds: Path) -> None:
    folder = kinds / "experiment"
    assert len(list(gather([folder, folder / "result.json"]).runs)) == 1


def test_loose_experiments_are_one_source_named_by_what_differs(tmp_path: Path) -> None:
    for name, size in (("a", 1), ("b", 8), ("c", 8)):
        made = replace(QUICK, settings={"pytorch.batch_size": size}, seed=ord(name))
        write_experiment(made, tmp_path / name)
    (source,) = gather([tmp_path / name for name in "abc"]).sources
    assert source.kind == "experiments"
    labels = {one.label: one.n_completed for one in source.configurations}
    assert labels == {"pytorch.batch_size=1": 1, "pytorch.batch_size=8": 2}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["no-energy"], "No energy was measured: it is made up without it."),
        (["estimated"], "All energies and powers are estimated"),
        (["estimated", "experiment"], "1 of 2 energies are estimated"),
        (["no-energy", "experiment"], "1 of 2 runs have no energy"),
        (["served", "experiment"], "different kinds of load (batch, closed)"),
    ],
)
def test_what_must_not_be_compared_is_said_first(kinds: Path, names: list[str], words: str) -> None:
    assert words in said(gather([kinds / name for name in names]))


def test_other_cards_and_other_prompts_are_said_first(kinds: Path, tmp_path: Path) -> None:
    folder = copied(kinds, "experiment", tmp_path)
    content = json.loads((folder / "result.json").read_text())
    content["dataset_sha256"] = "1" * 64
    content["model_record"]["devices"] = ["Another card (GPU-2)"]
    (folder / "result.json").write_text(json.dumps(content))
    told = said(gather([folder, kinds / "experiment"]))
    assert "different devices (Another card, Simulated card)" in told
    assert "did not have the same prompts" in told
