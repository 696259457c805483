"""The section: what a job asks for, by layers, and what cannot be said in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from llem_slurm.config import SlurmConfig
from pydantic import ValidationError

EXPERIMENT = {"backend": "pytorch", "pytorch": {"num_processes": 4, "batch_size": 1}}


def test_later_layers_win_field_by_field_and_options_are_joined() -> None:
    section = SlurmConfig.model_validate(
        {
            "partition": "main",
            "gpus": 1,
            "options": {"gres-flags": "enforce-binding", "nice": 10},
            "backends": {
                "pytorch": {"gpus": 2, "setup": ["module load cuda"], "options": {"nice": 20}},
                "other": {"gpus": 8},
            },
            "experiments": [
                {"match": {"pytorch.num_processes": 4}, "gpus": 4, "constraint": "nvlink"},
                {"match": {"pytorch.num_processes": 8}, "gpus": 8},
            ],
        }
    )
    job = section.job(EXPERIMENT)
    assert (job.partition, job.gpus, job.constraint) == ("main", 4, "nvlink")
    assert job.setup == ("module load cuda",)
    assert job.options == {"gres-flags": "enforce-binding", "nice": 20}


def test_a_rule_fits_only_where_all_its_values_do() -> None:
    match = {"pytorch.num_processes": 4, "pytorch.batch_size": 8}
    section = SlurmConfig.model_validate({"experiments": [{"match": match, "gpus": 4}]})
    assert section.job(EXPERIMENT).gpus is None
    assert section.job({"backend": "pytorch"}).gpus is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"options": {"time": "1:00"}}, "set time_limit_minutes"),
        ({"options": {"--nice": 1}}, "leave out `--`"),
        ({"options": {"nice": False}}, "or be true"),
        ({"options": {"comment": "a\nb"}}, "one line"),
        ({"options": {"requeue": True}}, "execution.retries"),
        ({"partition": " "}, "not empty"),
        ({"jobs": 0}, "greater than or equal to 1"),
        ({"backends": {"pytorch": {"gpu": 1}}}, "Extra inputs"),
        ({"experiments": [{"gpus": 1}]}, "match"),
        ({"experiments": [{"match": {}}]}, "at least 1"),
    ],
)
def test_what_is_wrong_is_told(content: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        SlurmConfig.model_validate(content)


def test_the_page_has_every_key() -> None:
    page = (Path(__file__).parents[3] / "docs" / "cluster.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| .+ \| .+ \|$", page, flags=re.MULTILINE)
    told = {key for row in rows for key in re.findall(r"\w+", row)}
    assert told == set(SlurmConfig.model_fields)
