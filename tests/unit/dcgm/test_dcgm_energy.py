"""Energy by an exporter is within its stated uncertainty of the truth, at whatever moments it looks
at its values and however late it shows them."""

import itertools
from collections.abc import Callable

import pytest
from llem_core.testing import PowerScript
from llem_energy_dcgm.testing import Curve, Ramps, ScriptedGpu, Square

from tests.unit.dcgm.measuring import window

BEGIN_S = 70.0
CURVES: dict[str, Callable[[float], Curve]] = {
    "constant": lambda _: PowerScript((0, 300.0)),
    "step within": lambda s: PowerScript((0, 90.0), (BEGIN_S + 0.37 * s, 500.0)),
    "load at the edges": lambda s: PowerScript((0, 90.0), (BEGIN_S, 500.0), (BEGIN_S + s, 90.0)),
    "ramp and drain": lambda s: PowerScript(
        (0, 90.0), (BEGIN_S - 5, 500.0), (BEGIN_S + s + 5, 90.0)
    ),
    "quick square": lambda _: Square(150.0, 450.0, 0.7),
    "slow square": lambda _: Square(150.0, 450.0, 7.0),
    "ramps": lambda _: Ramps(100.0, 500.0, 13.0),
}


@pytest.mark.parametrize("counter", [True, False], ids=["counter", "power"])
@pytest.mark.parametrize(
    ("period_s", "length_s"), [(1.0, 20.0), pytest.param(30.0, 120.0, marks=pytest.mark.full)]
)
@pytest.mark.parametrize("curve", CURVES)
def test_the_truth_lies_within_the_stated_interval(
    curve: str, period_s: float, length_s: float, counter: bool
) -> None:
    covered = []
    for phase, lag in ((0.0, 0.0), (0.55, 0.98)):
        gpu = ScriptedGpu(CURVES[curve](length_s), has_energy=counter)
        done = window(
            [gpu], BEGIN_S, length_s,
            collect_interval_s=period_s, phase_s=phase * period_s, lag_s=lag * period_s,
        )  # fmt: skip
        assert done.domain.method == ("counter" if counter else "integrated")
        covered.append(done.error_j <= done.stated_j)
    assert all(covered)


@pytest.mark.full
@pytest.mark.parametrize(("period_s", "length_s"), [(0.1, 10.0), (1.0, 60.0), (30.0, 300.0)])
@pytest.mark.parametrize("curve", CURVES)
def test_ninety_five_of_a_hundred_are_covered(curve: str, period_s: float, length_s: float) -> None:
    covered = []
    for phase, lag in itertools.product((0.0, 0.13, 0.4, 0.61, 0.9), (0.0, 0.2, 0.5, 0.98)):
        done = window(
            CURVES[curve](length_s), BEGIN_S, length_s,
            collect_interval_s=period_s, phase_s=phase * period_s, lag_s=lag * period_s,
        )  # fmt: skip
        covered.append(done.error_j <= done.stated_j)
    assert sum(covered) >= 0.95 * len(covered)


def test_a_steady_load_is_known_well() -> None:
    steady = window(
        CURVES["ramp and drain"](60.0), BEGIN_S, 60.0, collect_interval_s=1.0, phase_s=0.4
    )
    assert steady.stated_j < 0.006 * steady.true_j[0]
    assert steady.domain.cross_check_j == pytest.approx(steady.true_j[0], rel=0.005)


def test_a_lag_that_is_known_leaves_less_open() -> None:
    load = CURVES["load at the edges"](60.0)
    unknown = window(load, BEGIN_S, 60.0, lag_s=0.6)
    known = window(load, BEGIN_S, 60.0, section={"lag_seconds": 0.6}, lag_s=0.6)
    assert known.error_j <= known.stated_j < unknown.stated_j


def test_the_period_is_measured_and_said() -> None:
    done = window(PowerScript((0, 300.0)), collect_interval_s=1.0)
    assert done.reading.sensor["update_period_s"] == pytest.approx(1.0, abs=0.05)
    assert not done.reading.warnings
    slow = window(PowerScript((0, 300.0)), 70.0, 60.0, collect_interval_s=30.0)
    assert slow.reading.sensor["update_period_s"] == pytest.approx(30.0, abs=1.5)
    assert "every 30 s only" in slow.reading.warnings[0]


def test_an_exporter_is_not_asked_more_often_than_its_period_tells_something() -> None:
    """Twenty times in a period, and never more often than the section says."""
    short, long = (
        window(PowerScript((0, 300.0)), 70.0, length_s, collect_interval_s=30.0)
        for length_s in (600.0, 1200.0)
    )
    assert long.asked - short.asked == pytest.approx(600.0 / 1.5, rel=0.05)
    quick = window(
        PowerScript((0, 300.0)), 25.0, 100.0, section={"poll_seconds": 0.5}, collect_interval_s=1.0
    )
    assert quick.asked < 2 * 135


def test_an_interval_that_is_past_has_the_energy_of_a_window() -> None:
    curve = CURVES["slow square"](0.0)
    asked = {}

    def ask(sampler: object) -> None:
        asked["past"] = sampler.energy_between(1030.0, 1040.0)  # type: ignore[attr-defined]
        asked["future"] = sampler.energy_between(1030.0, 1060.0)  # type: ignore[attr-defined]

    window(curve, before_end=ask)
    (past,), (future,) = asked["past"].domains, asked["future"].domains
    slack_j = 2 * sum(term.standard_j for term in past.uncertainty)
    assert past.energy_j == pytest.approx(curve.energy_j(30.0, 40.0), abs=slack_j)
    assert future.energy_j is None
    assert "not known yet" in future.reason


def test_several_gpus_are_read_each_by_its_uuid() -> None:
    gpus = [ScriptedGpu(PowerScript((0, w)), uuid=f"GPU-{w:.0f}") for w in (100.0, 400.0)]
    done = window(gpus)
    for domain, true_j in zip(done.reading.domains, done.true_j, strict=True):
        assert domain.energy_j == pytest.approx(true_j, rel=0.02)
    assert [d.name for d in done.reading.domains] == ["GPU-100", "GPU-400"]
    samples = [s for s in done.reading.samples if s.domain == "GPU-400"]
    assert len(samples) >= 19
    assert all(390 < (s.power_w or 0) < 410 for s in samples)
    assert samples[0].sm_clock_hz == 1.41e9
    assert samples[0].memory_bytes == 40000 * 2**20
