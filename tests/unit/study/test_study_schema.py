from __future__ import annotations

import re

import pytest
from llem_core.config.schema import study_schema
from llem_core.config.study import STUDY_KEYS
from llem_core.plugins.registry import RESERVED_NAMES

pytestmark = pytest.mark.usefixtures("scripted")


def test_the_schema_has_the_keys_of_a_study_and_of_an_experiment_and_no_others() -> None:
    schema = study_schema()
    assert set(schema["properties"]) >= {*STUDY_KEYS, "model", "scripted"}
    assert schema["additionalProperties"] is False
    assert "required" not in schema
    assert STUDY_KEYS <= RESERVED_NAMES


def test_the_schema_knows_paths() -> None:
    grid = study_schema()["properties"]["sweep"]["anyOf"][0]
    path = re.compile(grid["propertyNames"]["pattern"])
    for good in ("n", "scripted.batch_size", "passthrough_kwargs.a.b"):
        assert path.search(good)
    for bad in ("execution.n_cycles", "name", "precison", "scripted.", "n..x"):
        assert not path.search(bad)
