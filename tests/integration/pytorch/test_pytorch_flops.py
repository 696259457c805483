"""FLOP of small models of many families, against torch's own count of the same calls."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from flops_families import compare

TOLERANCE = 0.02
COUNTED = (
    *("gpt2", "gpt_neo", "gpt_neox", "opt", "bloom", "falcon", "phi", "llama", "mistral"),
    *("gemma3_text", "gemma3", "qwen3", "qwen3_moe", "mixtral", "gpt_oss", "deepseek_v3"),
    *("lfm2", "jamba", "mamba"),
)


@pytest.mark.parametrize("family", COUNTED)
def test_flops_are_within_two_percent_of_a_count(family: str, tmp_path: Path) -> None:
    found = compare(family, tmp_path)
    assert found.ratio == pytest.approx(1.0, abs=TOLERANCE)
    assert found.stated.confidence == "high"
    assert found.stated.total_flops is not None
    assert found.stated.total_flops <= found.counted


@pytest.mark.parametrize("family", ["mamba2", "granitemoehybrid", "recurrent_gemma", "qwen3_next"])
def test_layers_that_are_not_counted_are_named(family: str, tmp_path: Path) -> None:
    stated = compare(family, tmp_path).stated
    assert stated.confidence == "low"
    assert "recurrence" in "; ".join(stated.left_out)


@pytest.mark.parametrize("section", [{"num_beams": 3}, {"use_cache": False}], ids=str)
def test_beams_and_lost_caches_are_counted(section: dict[str, Any], tmp_path: Path) -> None:
    found = compare("llama", tmp_path, requests=2, **section)
    assert found.ratio == pytest.approx(1.0, abs=TOLERANCE)


def test_speculation_is_said_not_to_be_counted(tmp_path: Path) -> None:
    stated = compare("llama", tmp_path, prompt_lookup_num_tokens=3).stated
    assert stated.confidence == "low"
    assert "not accepted" in stated.left_out[0]
