"""Every argument of the installed vLLM is in one of the tables."""

from __future__ import annotations

import dataclasses

import pytest
from llem_vllm import audit
from llem_vllm.config import VllmConfig
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs

ENGINE_FIELDS = [field.name for field in dataclasses.fields(AsyncEngineArgs)]
SAMPLING_FIELDS = list(SamplingParams.__struct_fields__)


def test_every_engine_argument_is_mapped_owned_passable_or_excluded() -> None:
    assert audit.audit_problems(ENGINE_FIELDS, audit.ENGINE) == []


def test_every_sampling_field_is_mapped_owned_passable_or_excluded() -> None:
    assert audit.audit_problems(SAMPLING_FIELDS, audit.SAMPLING) == []


@pytest.mark.parametrize(
    ("fields", "tables"), [(ENGINE_FIELDS, audit.ENGINE), (SAMPLING_FIELDS, audit.SAMPLING)]
)
def test_an_invented_upstream_field_is_named(
    fields: list[str], tables: tuple[dict[str, str], ...]
) -> None:
    problems = audit.audit_problems([*fields, "enable_telepathy"], tables)
    assert problems == ["enable_telepathy is new in vLLM: map it, own it, or exclude it"]


@pytest.mark.parametrize("gone", ["max_num_seqs", "master_addr"])
def test_a_field_that_upstream_dropped_is_named(gone: str) -> None:
    left = [name for name in ENGINE_FIELDS if name != gone]
    assert audit.audit_problems(left, audit.ENGINE) == [f"{gone} is not in vLLM any more"]


def test_every_field_of_the_section_is_an_argument_of_vllm_or_our_own() -> None:
    assert set(VllmConfig.model_fields) - set(ENGINE_FIELDS) == {"apply_chat_template"}


def test_reasons_are_given() -> None:
    for table in (*audit.ENGINE, *audit.SAMPLING):
        assert all(len(reason) > 3 for reason in table.values())
