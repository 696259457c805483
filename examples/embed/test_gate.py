"""The gate's own judgement, on results with figures that the test chose."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from llem_core.embed import measure_callable
from llem_core.testing import FakePlugin, scripted_sampler
from llenergymeasure import ExperimentResult

from gate import COVERAGE_FACTOR, Quantity, State, judge, record

ENERGY: Quantity = "energy_per_output_token_j"
SPEED: Quantity = "output_tokens_per_second"
STEADY = (1.00, 1.01, 0.99, 1.00, 1.00)


@pytest.fixture(scope="session")
def measured() -> ExperimentResult:
    return measure_callable(
        lambda prompt: prompt,
        ["one", "two"],
        model="echo",
        count_tokens=lambda text: len(text.split()),
        plugins=[FakePlugin(samplers=[scripted_sampler()])],
        energy={"sampler": "scripted_meter"},
        baseline={"enabled": False},
        warmup={"enabled": False},
    )


def repeats(measured: ExperimentResult, values: Sequence[float], **more: Any) -> list[Any]:
    """Results whose energy a token (J) and speed (1/s) are these."""
    return [
        measured.model_copy(
            update={ENERGY: v, SPEED: v, "energy_uncertainty_comparison_j": 0.0, **more}
        )
        for v in values
    ]


@pytest.mark.parametrize(
    ("quantity", "factor", "state"),
    [
        (ENERGY, 1.00, "passed"),
        (ENERGY, 1.30, "failed"),
        (ENERGY, 0.70, "passed"),
        (SPEED, 1.00, "passed"),
        (SPEED, 0.70, "failed"),
        (SPEED, 1.30, "passed"),
    ],
)
def test_worse_fails_and_better_passes(
    measured: ExperimentResult, tmp_path: Path, quantity: Quantity, factor: float, state: State
) -> None:
    record(repeats(measured, STEADY), tmp_path / "b.json")
    now = repeats(measured, [v * factor for v in STEADY])

    assert judge(now, quantity, tmp_path / "b.json").state == state


def test_a_loss_that_chance_explains_passes_and_says_so(
    measured: ExperimentResult, tmp_path: Path
) -> None:
    noisy = (0.6, 1.4, 0.8, 1.2, 1.0)
    record(repeats(measured, noisy), tmp_path / "b.json")
    verdict = judge(repeats(measured, [v * 1.1 for v in noisy]), ENERGY, tmp_path / "b.json")

    assert verdict.state == "passed"
    assert "cannot tell so small a loss from chance" in verdict.message


def test_the_meters_uncertainty_widens_the_tolerance(
    measured: ExperimentResult, tmp_path: Path
) -> None:
    wide_j = 0.2 * COVERAGE_FACTOR * measured.output_tokens
    same = (1.0,) * 5
    record(repeats(measured, same, energy_uncertainty_comparison_j=wide_j), tmp_path / "b.json")
    worse = repeats(measured, [1.2] * 5, energy_uncertainty_comparison_j=wide_j)
    interval = 2.78 * math.sqrt(2) * 0.2 / math.sqrt(5)

    assert interval > 0.2 - 0.05
    assert judge(worse, ENERGY, tmp_path / "b.json").state == "passed"
    assert judge(worse, ENERGY, tmp_path / "b.json", allowed_loss=-1).state == "failed"


def test_without_a_meter_there_is_no_verdict_on_energy_and_one_on_speed(
    measured: ExperimentResult, tmp_path: Path
) -> None:
    why = {"unavailable": {**measured.unavailable, ENERGY: "no meter"}}
    blind = [result.model_copy(update={ENERGY: None, **why}) for result in [measured] * 2]

    assert record(blind, tmp_path / "b.json") == [SPEED]
    verdict = judge(blind, ENERGY, tmp_path / "b.json")
    assert verdict.state == "not measured"
    assert "no meter" in verdict.message
    assert judge(blind, SPEED, tmp_path / "b.json").state == "passed"


def test_no_baseline_is_no_verdict(measured: ExperimentResult, tmp_path: Path) -> None:
    assert judge(repeats(measured, STEADY), SPEED, tmp_path / "b.json").state == "no baseline"


def test_another_machine_is_not_compared(measured: ExperimentResult, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    record(repeats(measured, STEADY), file)
    found = json.loads(file.read_text())
    found[SPEED]["setting"]["processor"] = "another"
    file.write_text(json.dumps(found))
    verdict = judge(repeats(measured, STEADY), SPEED, file)

    assert verdict.state == "cannot compare"
    assert "processor" in verdict.message


def test_recording_keeps_what_it_does_not_measure(
    measured: ExperimentResult, tmp_path: Path
) -> None:
    file = tmp_path / "b.json"
    assert record(repeats(measured, STEADY), file) == [ENERGY, SPEED]
    blind = [r.model_copy(update={ENERGY: None}) for r in repeats(measured, STEADY)]

    assert record(blind, file) == [SPEED]
    assert sorted(json.loads(file.read_text())) == [ENERGY, SPEED]
