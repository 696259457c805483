"""The proof of the uncertainty with fewer runs, and the page that it is written to."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from llem_energy_nvml.testing import (
    Constant,
    SimulatedGpu,
    Square,
    measure_window,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def proof() -> ModuleType:
    path = ROOT / "benchmarks" / "uncertainty_proof.py"
    spec = importlib.util.spec_from_file_location("uncertainty_proof", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "kind",
    [
        "healthy: counter every 20 to 100 ms",
        "no counter, averaged over 1 s",
        "no counter, 25 of 100 ms",
    ],
)
def test_true_joules_are_inside_as_often_as_is_stated(proof: ModuleType, kind: str) -> None:
    found = proof.prove(64, seed=2, kinds=[kind])
    assert found.failures() == []
    assert found.by_kind[kind].null == 0
    assert found.by_kind[kind].runs >= 64


def test_an_interval_that_is_too_narrow_is_found_out(proof: ModuleType) -> None:
    """No budget knows of a counter that is a whole second late: the proof must say so."""
    proof.KINDS["late"] = proof.Kind(lambda _: {"counter_lag_s": 1.0})
    found = proof.prove(32, seed=2, kinds=["late"])
    assert found.by_kind["late"].in_comparison < proof.COVERAGE * found.by_kind["late"].runs
    assert any(failure.startswith("late: ") for failure in found.failures())


def test_intervals_are_not_absurdly_wide() -> None:
    (domain,) = measure_window([SimulatedGpu(Constant(300.0), phase_s=0.04)], 10).reading.domains
    terms = [t.standard_j for t in domain.uncertainty if not t.common_to_runs]
    assert 2 * sum(terms) < 0.005 * 3000


def test_the_pages_messages_are_those_of_the_sampler(proof: ModuleType) -> None:
    page = proof.PAGE.read_text(encoding="utf-8")
    assert proof.written(page, "messages", proof.messages()) == page


def test_simulated_time_changes_nothing() -> None:
    """The same window in real time and in simulated time, through the same code."""
    from llem_energy_nvml.clock import RealClock

    def gpu() -> SimulatedGpu:
        return SimulatedGpu(Square(100.0, 500.0, 0.37), phase_s=0.02)

    for clock in (None, RealClock()):
        done = measure_window([gpu()], 1.3, clock=clock, lead_s=0.3)
        domain = done.domain
        assert domain.energy_j is not None
        half_j = 2 * sum(t.standard_j for t in domain.uncertainty if not t.common_to_runs)
        assert abs(domain.energy_j - done.true_j[0]) <= half_j
        # A real clock is read late on a busy machine, and the edges are uncertain by that.
        assert half_j < (0.1 if clock is None else 0.3) * done.true_j[0]
        assert len(done.reading.samples) >= 10
