"""The uncertainty budget: its sums, its shares, its coverage factor, and that it covers."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from llem_core.contracts import UsedDevices
from llem_core.contracts.sampler import (
    DomainReading,
    EnergyReading,
    Growth,
    UncertaintyComponent,
)
from llem_core.measure.baseline.power import BaselineReadings, baseline_power
from llem_core.measure.energy.plausible import reject_impossible
from llem_core.measure.energy.totals import record_energy
from llem_core.measure.energy.uncertainty import CLOCK_RATE, budget
from llem_core.measure.result.warnings import cross_check_warning, window_needed_s
from llem_core.meters import integral_budget
from llem_core.results.energy import BaselinePower, UncertaintyBudget


def term(
    name: str, standard_j: float, growth: Growth = "constant", *, shared: bool = False
) -> UncertaintyComponent:
    return UncertaintyComponent(name, standard_j, growth, common_to_devices=shared)


def gain(standard_j: float) -> UncertaintyComponent:
    return UncertaintyComponent(
        "gain",
        standard_j,
        "linear",
        common_to_runs=True,
        common_to_devices=True,
        scales_with_energy=True,
    )


def gpu(name: str, energy_j: float | None, *terms: UncertaintyComponent, **facts: object):  # type: ignore[no-untyped-def]
    return DomainReading(
        name, "gpu", energy_j, facts.pop("method", "counter"), uncertainty=terms, **facts
    )  # type: ignore[arg-type]


def baseline(power_w: float, error_w: float, **by_device: float) -> BaselinePower:
    return BaselinePower(
        power_w=power_w,
        reason=None,
        spread_w=error_w,
        standard_uncertainty_w=error_w,
        trend_w=0.0,
        n_parts=5,
        duration_s=30.0,
        age_s=0.0,
        cached=False,
        per_device_w=by_device or {"GPU-a": power_w},
    )


def of(terms: UncertaintyBudget | None) -> UncertaintyBudget:
    assert terms is not None
    return terms


def test_terms_add_as_squares_and_gain_is_absolute_alone() -> None:
    device = gpu(
        "GPU-a",
        1000.0,
        term("edges", 3.0),
        term("quantisation", 4.0),
        gain(12.0),
    )
    terms = of(budget([device], None, 10.0))
    assert terms.comparison_j == pytest.approx(2 * 5)
    assert terms.absolute_j == pytest.approx(2 * 13)
    assert terms.adjusted_comparison_j is None
    assert terms.adjusted_absolute_j is None
    assert [f.shares for f in terms.figures] == [
        pytest.approx({"quantisation": 16 / 25, "edges": 9 / 25}),
        pytest.approx({"gain": 144 / 169, "quantisation": 16 / 169, "edges": 9 / 169}),
    ]


def test_edges_and_gains_of_several_devices_have_one_cause_and_add_up() -> None:
    each = (term("edges", 3.0, shared=True), term("quantisation", 4.0), gain(10.0))
    terms = of(budget([gpu("GPU-a", 500.0, *each), gpu("GPU-b", 500.0, *each)], None, 10.0))
    values = {row.name: row.total_j for row in terms.terms}
    assert values == pytest.approx({"edges": 6.0, "quantisation": 4.0 * 2**0.5, "gain": 20.0})


def test_the_adjusted_energy_has_the_baselines_term_and_the_gain_of_what_is_left() -> None:
    device = gpu("GPU-a", 1000.0, term("edges", 3.0), gain(100.0))
    terms = of(budget([device], baseline(80.0, 0.5), 10.0))
    values = {row.name: row.adjusted_j for row in terms.terms}
    # 1000 J less 80 W for 10 s leaves 200 J, a fifth of the energy and of its gain
    assert values["gain"] == pytest.approx(20.0)
    assert values["baseline"] == pytest.approx(5.0)
    assert values["clock"] == pytest.approx(math.sqrt(2) * CLOCK_RATE * 800.0)
    expected = math.sqrt(3.0**2 + 5.0**2 + (math.sqrt(2) * CLOCK_RATE * 800.0) ** 2)
    assert terms.adjusted_comparison_j == pytest.approx(2 * expected)
    assert terms.comparison_j == pytest.approx(2 * 3.0)
    assert next(r for r in terms.terms if r.name == "baseline").total_j == 0.0


def test_shares_of_each_figure_sum_to_one() -> None:
    device = gpu("GPU-a", 1000.0, term("edges", 3.0), gain(100.0))
    terms = of(budget([device], baseline(80.0, 0.5), 10.0))
    assert [(f.energy, f.scope) for f in terms.figures] == [
        ("total", "comparison"),
        ("total", "absolute"),
        ("adjusted", "comparison"),
        ("adjusted", "absolute"),
    ]
    for figure in terms.figures:
        assert math.fsum(figure.shares.values()) == pytest.approx(1.0)
        assert figure.expanded_j == pytest.approx(terms.coverage_factor * figure.standard_j)


def test_what_a_term_does_is_what_it_says_and_not_its_name() -> None:
    def plain(name: str) -> UncertaintyComponent:
        return term(name, 3.0)

    for name in ("edges", "clock", "gain", "anything"):
        two = [gpu("GPU-a", 500.0, plain(name)), gpu("GPU-b", 500.0, plain(name))]
        terms = of(budget(two, baseline(10.0, 0.5, **{"GPU-a": 5.0, "GPU-b": 5.0}), 10.0))
        row = next(r for r in terms.terms if r.name == name and r.growth == "constant")
        assert row.total_j == pytest.approx(3.0 * 2**0.5)
        assert row.adjusted_j == pytest.approx(3.0 * 2**0.5)
        assert row.scope == "comparison"


def test_the_clocks_rate_is_in_energy_that_is_power_times_time() -> None:
    terms = integral_budget(0.1, 1e6, 100.0, [9e3, 1.1e4])
    clock = next(t for t in terms if t.name == "clock")
    assert clock.standard_j == pytest.approx(1e6 * 500e-6 / math.sqrt(3))
    assert clock.growth == "linear"


def test_no_uncertainty_is_no_budget_and_none_at_all_is_no_division() -> None:
    assert budget([gpu("GPU-a", 1.0)], None, 1.0) is None
    assert budget([], None, 1.0) is None
    certain = of(budget([gpu("GPU-a", 1.0, term("edges", 0.0))], None, 1.0))
    assert certain.comparison_j == 0.0
    assert certain.figures[0].shares == {}


def test_the_adjusted_interval_covers_with_five_parts() -> None:
    """The baseline dominates: s/√m times 2 would cover 88 % (Student's t, 4 degrees of freedom)."""
    chance = random.Random(1)
    window_s, idle_w, run_w, scatter_w, part_s = 60.0, 70.0, 300.0, 2.0, 6.0
    hits, normal_hits, runs = 0, 0, 2000
    for _ in range(runs):
        parts = [
            EnergyReading(
                str(i),
                i * part_s,
                (i + 1) * part_s,
                (gpu("GPU-a", chance.gauss(idle_w, scatter_w) * part_s, term("edges", 0.01)),),
            )
            for i in range(5)
        ]
        idle = baseline_power(
            BaselineReadings(parts, 30.0, False, "key"),
            UsedDevices("gpu", frozenset({"GPU-a"})),
            30.0,
        )
        device = gpu("GPU-a", run_w * window_s, term("edges", 0.5))
        found = of(budget([device], idle, window_s))
        assert idle.power_w is not None
        error_j = abs((run_w - idle.power_w) * window_s - (run_w - idle_w) * window_s)
        hits += error_j <= (found.adjusted_comparison_j or 0.0)
        naive_j = 2.0 * (idle.spread_w or 0.0) / math.sqrt(5) * window_s
        normal_hits += error_j <= naive_j
    assert hits / runs >= found.coverage - 3 * math.sqrt(0.05 * 0.95 / runs)
    assert normal_hits / runs < 0.92


def test_a_baseline_of_another_time_covers_what_idle_power_is_now() -> None:
    chance = random.Random(2)
    hits, runs = 0, 2000
    for _ in range(runs):
        *parts_w, now_w = (chance.gauss(70.0, 1.0) for _ in range(6))
        parts = [
            EnergyReading(str(i), i, i + 1.0, (gpu("GPU-a", p, term("edges", 0.01)),))
            for i, p in enumerate(parts_w)
        ]
        idle = baseline_power(
            BaselineReadings(parts, 5.0, True, "key"), UsedDevices("gpu", frozenset({"GPU-a"})), 5.0
        )
        found = of(budget([gpu("GPU-a", 3e4, term("edges", 0.01))], idle, 100.0))
        error_j = abs(statistics.fmean(parts_w) - now_w) * 100.0
        hits += error_j <= (found.adjusted_comparison_j or 0.0)
    assert hits / runs >= found.coverage - 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(
    ("check_j", "edges_j", "told"),
    [
        (1040.0, 1.0, False),
        (1060.0, 1.0, True),
        (940.0, 1.0, True),
        # ± 100 J of the window's edges cannot tell 60 J
        (1060.0, 50.0, False),
        (0.0, 1.0, True),
    ],
)
def test_a_cross_check_beyond_threshold_and_uncertainty_is_told(
    check_j: float, edges_j: float, told: bool
) -> None:
    device = gpu(
        "GPU-a",
        1000.0,
        term("edges", edges_j),
        cross_check_j=check_j,
        cross_check_method="integrated",
    )
    doubt = cross_check_warning(device, 0.05)
    assert (doubt is not None) == told
    assert doubt is None or "GPU-a" in doubt


def test_the_window_that_would_be_needed_gives_what_was_asked_for() -> None:
    for terms in (
        [term("edges", 30.0)],
        [term("sampling", 30.0, "root")],
        [term("edges", 20.0), term("sampling", 25.0, "root"), term("clock", 1.0, "linear")],
    ):
        rows = of(budget([gpu("GPU-a", 1000.0, *terms)], None, 10.0)).terms
        needed_s = window_needed_s(rows, 1000.0, 10.0, 0.01)
        assert needed_s is not None
        ratio = needed_s / 10.0
        grown = {"constant": 1.0, "root": math.sqrt(ratio), "linear": ratio}
        standard_j = math.hypot(*(t.standard_j * grown[t.growth] for t in terms))
        assert 2 * standard_j == pytest.approx(0.01 * 1000.0 * ratio)
    rows = of(budget([gpu("GPU-a", 1000.0, term("any", 10.0, "linear"))], None, 10.0)).terms
    assert window_needed_s(rows, 1000.0, 10.0, 0.01) is None


@pytest.mark.parametrize("window_s", [10.0, 100.0, 1000.0])
def test_the_advice_is_the_same_from_a_short_window_and_from_a_long_one(window_s: float) -> None:
    """300 W; ± 60 J of edges make 1 % of 20 s, ± 60 J of one second's scatter make 1 % of 400 s."""
    energy_j = 300.0 * window_s
    edges = term("edges", 30.0)
    sampling = term("sampling", 30.0 * math.sqrt(window_s), "root")
    for device, needed_s in (
        (gpu("GPU-a", energy_j, edges), 20.0),
        (gpu("GPU-a", energy_j, sampling), 400.0),
    ):
        rows = of(budget([device], None, window_s)).terms
        assert window_needed_s(rows, energy_j, window_s, 0.01) == pytest.approx(needed_s)


@pytest.mark.parametrize("bad", [-5.0, math.nan, math.inf])
def test_an_energy_that_cannot_be_is_none(bad: float) -> None:
    reading = reject_impossible(
        EnergyReading("w", 0.0, 1.0, (gpu("GPU-a", bad, term("edges", 1.0)),))
    )
    energy = record_energy(reading, None, UsedDevices("gpu", frozenset({"GPU-a"})))
    assert energy.total_j is None
    assert "which no energy can be" in str(energy.reason)


@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_an_uncertainty_that_cannot_be_is_none_and_said(bad: float) -> None:
    reading = reject_impossible(
        EnergyReading("w", 0.0, 1.0, (gpu("GPU-a", 5.0, term("edges", bad)),))
    )
    assert reading.domains[0].uncertainty == ()
    assert "edges" in reading.warnings[0]


def test_a_window_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="lasted 0 s"):
        reject_impossible(EnergyReading("w", 1.0, 1.0, ()))
