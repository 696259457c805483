"""Models made of JSON schemas take what the models take that the schemas were written for."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from llem_core.contracts.config import BackendSection, StrictModel
from llem_core.elsewhere.model import section_model
from pydantic import Field, ValidationError


class Inner(StrictModel):
    level: int = Field(3, ge=0, description="Level.")
    name: str | None = None


class Written(BackendSection):
    """A section with every kind of field that sections have."""

    count: int = Field(1, ge=1, le=9, description="Number of things.")
    share: float = Field(0.5, gt=0, lt=1, description="Share.")
    maybe: float | None = Field(None, description="Or not.")
    mode: Literal["fast", "slow", 3] = Field("fast", description="Mode.")
    on: bool = Field(False, description="Switch.")
    label: str = Field("x", min_length=1, pattern="^[a-z]+$", description="Label.")
    either: int | str | None = Field(None, description="Either.")
    sizes: list[int] = Field([1, 2], max_length=3, description="Sizes.")
    pair: tuple[int, str] = Field((1, "a"), description="Pair.")
    limits: dict[str, float] = Field({}, description="Limits.")
    anything: dict[str, Any] = Field(default_factory=dict, description="Anything.")
    inner: Inner = Field(default_factory=Inner, description="Inner.")
    free: Any = Field(None, description="Free.")


MADE = section_model("written", Written.model_json_schema(), Written().model_dump(mode="json"))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"count": 2, "share": 0.25, "maybe": 1, "mode": 3, "on": True, "label": "abc"},
        {"either": 4, "sizes": [], "pair": [2, "b"], "limits": {"a": 1}},
        {"either": "text", "anything": {"x": [1, {"y": None}]}, "inner": {"level": 5}},
        {"maybe": None, "inner": {"name": "n"}, "free": {"z": 1}},
    ],
)
def test_the_same_is_taken_and_resolved_to_the_same(fields: dict[str, Any]) -> None:
    there = Written.model_validate(fields).model_dump(mode="json", exclude_none=True)
    assert MADE.model_validate(fields).model_dump(mode="json", exclude_none=True) == there


@pytest.mark.parametrize(
    "fields",
    [
        {"count": 0},
        {"count": 10},
        {"count": True},
        {"share": 1},
        {"mode": "middle"},
        {"label": ""},
        {"label": "ABC"},
        {"either": [1]},
        {"sizes": [1, 2, 3, 4]},
        {"pair": [1]},
        {"limits": {"a": "b"}},
        {"inner": {"level": -1}},
        {"inner": {"levle": 1}},
        {"unknown": 1},
    ],
)
def test_the_same_is_refused_at_the_same_key(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as there:
        Written.model_validate(fields)
    with pytest.raises(ValidationError) as here:
        MADE.model_validate(fields)
    assert [each["loc"][0] for each in here.value.errors()] == [
        each["loc"][0] for each in there.value.errors()
    ][: len(here.value.errors())]


def test_descriptions_and_required_fields_stay() -> None:
    class Needs(BackendSection):
        """One required field."""

        path: str = Field(description="Where.")

    made = section_model("needs", Needs.model_json_schema(), {})
    assert made.model_fields["path"].is_required()
    assert made.model_fields["path"].description == "Where."
    assert MADE.model_fields["count"].description == "Number of things."


def test_the_same_content_gives_the_same_class() -> None:
    again = section_model("written", Written.model_json_schema(), Written().model_dump(mode="json"))
    assert again is MADE


def test_a_pattern_that_this_engine_does_not_know_is_left_to_the_environment() -> None:
    schema = {"properties": {"x": {"type": "string", "pattern": "(?<!a)b", "default": ""}}}
    assert section_model("p", schema, {}).model_validate({"x": "ab"}).model_dump() == {"x": "ab"}
