"""Files of older schema versions, as the tool of their time wrote them, still load."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from llem_core.results.migrate import (
    SCHEMA_HISTORY,
    SCHEMA_VERSION,
    STUDY_SCHEMA_HISTORY,
    STUDY_SCHEMA_VERSION,
)
from llem_core.results.study import StudyResult
from llem_core.study.record.manifest import load_manifest
from llem_core.study.summary.figures import read_figures
from llenergymeasure import ExperimentResult
from pydantic import ValidationError

OLD = Path(__file__).parent / "schema_1"
DOCS = Path(__file__).parents[3] / "docs"


def old(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((OLD / name).read_text())
    return content


@pytest.mark.parametrize("name", ["result_batch_1.json", "result_batch_3.json"])
def test_a_result_of_version_1_loads_as_one_of_today(name: str) -> None:
    before = old(name)
    result = ExperimentResult.model_validate_json((OLD / name).read_text())
    assert before["schema_version"] == 1
    assert result.schema_version == SCHEMA_VERSION
    assert result.energy_total_j == before["energy_total_j"]
    assert result.n_failed_requests == 0
    assert result.missing_reason("queue_time") == "schema version 1 did not tell it"
    assert result.missing_reason("time_per_output_token") == "schema version 1 did not tell it"
    assert result.loaded_baseline is not None
    uncertainty_w = result.loaded_baseline.standard_uncertainty_w
    assert uncertainty_w == before["loaded_baseline"]["standard_error_w"]
    assert result.uncertainty is not None
    growth = {term.name: term.growth for term in result.uncertainty.terms}
    others = dict.fromkeys(("gain", "baseline", "clock"), "linear")
    assert growth == {"edges": "constant", **others}
    assert ExperimentResult.model_validate_json(result.model_dump_json()) == result


def test_flops_that_lacked_a_part_are_not_called_exact() -> None:
    before = old("result_batch_1.json")
    flops = ExperimentResult.model_validate(before).flops
    assert before["flops"]["confidence"] == "high"
    assert flops.confidence == "low"
    assert flops.left_out[0] == "the output projection"
    assert flops.total_flops == before["flops"]["total_flops"]


def test_the_time_of_a_batch_is_not_taken_for_that_of_its_requests() -> None:
    before = old("result_batch_1.json")
    alone = ExperimentResult.model_validate(before)
    assert alone.end_to_end_latency is not None
    assert alone.end_to_end_latency.mean_s == before["end_to_end_latency"]["mean_s"]
    together = ExperimentResult.model_validate(old("result_batch_3.json"))
    assert together.end_to_end_latency is None
    assert together.missing_reason("end_to_end_latency") == (
        "schema version 1 gave the time of a request's batch, which is not its own"
    )


def test_a_study_result_of_version_1_loads_as_one_of_today() -> None:
    before = old("study_result.json")
    result = StudyResult.model_validate_json((OLD / "study_result.json").read_text())
    assert before["schema_version"] == 1
    assert result.schema_version == STUDY_SCHEMA_VERSION
    ties = [each.indistinguishable_from_previous for each in result.configurations]
    assert ties == [each["tied_with_better"] for each in before["configurations"]]
    assert set(ties) == {None, False}


def test_the_manifest_of_a_study_of_version_1_loads() -> None:
    manifest = load_manifest(OLD)
    assert [entry.status for entry in manifest.runs()] == ["completed"] * 4


def test_a_study_reads_the_figures_of_a_result_of_version_1() -> None:
    before = old("result_batch_3.json")
    figures = read_figures(OLD / "result_batch_3.json", before["measurement_config_hash"])
    assert figures.energy_per_output_token_j == before["energy_per_output_token_j"]
    assert figures.duration_s == before["duration_s"]


@pytest.mark.parametrize("kind", [ExperimentResult, StudyResult])
@pytest.mark.parametrize(
    ("version", "why"),
    [
        (99, "schema_version 99 is newer than this llem-core reads"),
        (0, "schema_version 0 is none that llem-core has written"),
        ("2", "schema_version '2' is none that llem-core has written"),
        (True, "schema_version True is none"),
        (None, "schema_version None is none"),
    ],
)
def test_a_version_that_cannot_be_read_says_why_not(kind: Any, version: Any, why: str) -> None:
    name = "result_batch_1.json" if kind is ExperimentResult else "study_result.json"
    with pytest.raises(ValidationError, match=re.escape(why)):
        kind.model_validate({**old(name), "schema_version": version})


@pytest.mark.parametrize(
    "damage",
    [{"processes": [3]}, {"processes": 3}, {"unavailable": 3}, {"uncertainty": {"terms": 3}}],
    ids=str,
)
def test_a_damaged_file_of_an_older_version_is_a_validation_error(damage: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ExperimentResult.model_validate({**old("result_batch_1.json"), **damage})


def test_the_page_has_the_history_of_both_schemas() -> None:
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    for file, history in (
        ("result.json", SCHEMA_HISTORY),
        ("study_result.json", STUDY_SCHEMA_HISTORY),
    ):
        for version, change in history.items():
            assert f"| `{file}` | {version} | {change} |" in page
    assert max(SCHEMA_HISTORY) == SCHEMA_VERSION
    assert max(STUDY_SCHEMA_HISTORY) == STUDY_SCHEMA_VERSION
