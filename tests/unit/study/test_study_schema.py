"""The schema of a study file against files that the loader takes, and that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from llem_core.config.layers import STUDY_KEYS
from llem_core.config.loader import study_from
from llem_core.config.schema import experiment_schema, study_schema
from llem_core.contracts import LauncherSpec, Section
from llem_core.errors import ConfigError
from llem_core.plugins import Plugins, use_plugins
from llem_core.testing import FakePlugin, InlineLauncher, scripted_backend
from pydantic import Field

ROOT = Path(__file__).parents[3]
SWEPT: dict[str, Any] = {"model": "m", "backend": "scripted"}


class ShelfConfig(Section):
    shelf: str = Field("a", description="Which shelf.")


@pytest.fixture
def schema() -> Iterator[Draft202012Validator]:
    plugins = Plugins()
    launcher = LauncherSpec("shelf", "On a shelf.", lambda _: InlineLauncher(), ShelfConfig)
    plugins.register(FakePlugin(backends=[scripted_backend()], launchers=[launcher]))
    with use_plugins(plugins):
        made = study_schema()
        Draft202012Validator.check_schema(made)
        yield Draft202012Validator(made)


@pytest.mark.parametrize(
    "study",
    [
        {"sweep": {"scripted.batch_size": [1, 8], "n": [1]}},
        {"sweep": [{"n": [1, 2]}, {"decoder.top_k": [5]}], "name": "two-grids"},
        {"experiments": [{"n": 1}, {"scripted": {"batch_size": 2, "precision": "fp16"}}]},
        {"execution": {"n_cycles": 3, "cycle_order": "interleaved"}},
        {"execution": {"launcher": "shelf", "shelf": {"shelf": "b"}}},
    ],
)
def test_a_study_that_loads_is_valid(schema: Draft202012Validator, study: dict[str, Any]) -> None:
    assert study_from({**SWEPT, **study}).experiments
    assert list(schema.iter_errors({**SWEPT, **study})) == []


@pytest.mark.parametrize(
    "study",
    [
        {"sweep": {"scriptd.batch_size": [1, 8]}},
        {"sweep": {"n": []}},
        {"sweep": {"n": 5}},
        {"experiments": [{"name": "inner"}]},
        {"experiments": {"n": 1}},
        {"execution": {"cycles": 3}, "name": "x"},
        {"execution": {"shelv": {"shelf": "b"}}, "name": "x"},
        {"execution": {"shelf": {"shelv": "b"}}, "name": "x"},
        {"name": "no/folder"},
        {"scripted": {"batch_sizes": 1}, "name": "x"},
    ],
)
def test_a_study_that_does_not_load_is_not_valid(
    schema: Draft202012Validator, study: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError):
        study_from({**SWEPT, **study})
    assert list(schema.iter_errors({**SWEPT, **study}))


def test_the_schema_has_every_key_of_a_study(schema: Draft202012Validator) -> None:
    properties = set(study_schema()["properties"])
    assert properties - set(experiment_schema()["properties"]) == STUDY_KEYS


def test_the_documented_study_is_valid() -> None:
    content = yaml.safe_load((ROOT / "examples" / "study.yaml").read_text(encoding="utf-8"))
    assert list(Draft202012Validator(study_schema()).iter_errors(content)) == []
