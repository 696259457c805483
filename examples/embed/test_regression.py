"""The gate itself: fails a build that got slower or hungrier. Record first: ``GATE=record``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from llem_core.embed import measure_callable
from llenergymeasure import ExperimentResult

from gate import Quantity, judge, record
from subject import PROMPTS, count_words, generate

BASELINE = Path(os.environ.get("GATE_BASELINE", Path(__file__).with_name("baseline.json")))
REPEATS = 5


@pytest.fixture(scope="session")
def results() -> list[ExperimentResult]:
    """Five repeats. Energy comes from whatever meter is installed and usable, or is null."""
    measured = [
        measure_callable(
            generate,
            PROMPTS,
            model="toy-generator",
            count_tokens=count_words,
            max_output_tokens=64,
            # BaselineReadings power is not subtracted: the gate compares gross energy.
            baseline={"enabled": False},
        )
        for _ in range(REPEATS)
    ]
    if os.environ.get("GATE") == "record":
        pytest.skip(f"recorded {', '.join(record(measured, BASELINE))} in {BASELINE}")
    return measured


@pytest.mark.parametrize("quantity", ["energy_per_output_token_j", "output_tokens_per_second"])
def test_no_regression(results: list[ExperimentResult], quantity: Quantity) -> None:
    verdict = judge(results, quantity, BASELINE, allowed_loss=0.10)
    if not verdict.given:
        pytest.skip(verdict.message)
    assert verdict.state == "passed", verdict.message
