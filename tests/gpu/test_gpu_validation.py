"""The checks of ``benchmarks/gpu_validation.py`` in short form, on a small shape."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from gpu_validation import real_plan
from validation import checks
from validation.report import Section, Verdict
from validation.running import Bench

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    short = replace(
        real_plan("shape:smollm2-360m", minutes=5), long_window_s=12.0, phase_outputs=(8, 64)
    )
    return Bench(short, tmp_path_factory.mktemp("validation"), say=lambda _: None)


@pytest.mark.parametrize(
    "check",
    [checks.counter_against_integral, checks.batches, checks.repeats, checks.phases],
)
def test_it_holds(bench: Bench, check: Callable[[Bench], Section]) -> None:
    section = check(bench)
    assert section.verdict is Verdict.HOLDS, section


def test_the_sensor_has_a_passport(bench: Bench) -> None:
    section = checks.passport(bench)
    assert section.verdict is not Verdict.FAILS, section
    assert section.rows
