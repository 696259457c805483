from __future__ import annotations

import math
import random

import pytest
from llem_core.results.student import incomplete_beta, t_quantile, t_survival
from llem_core.study.summary.statistics import differ, summarise, welch_p

# Upper 97.5 % points of Student's t, as printed in tables (e.g. Abramowitz and Stegun, 26.10).
TABLE = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    9: 2.262,
    10: 2.228,
    30: 2.042,
    60: 2.000,
    120: 1.980,
}


@pytest.mark.parametrize(("freedom", "expected"), TABLE.items())
def test_quantiles_are_those_of_the_tables(freedom: int, expected: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(expected, abs=6e-4)


def test_one_and_two_degrees_of_freedom_have_closed_forms() -> None:
    for p in (0.6, 0.9, 0.975, 0.999):
        assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-9)
        closed = (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
        assert t_quantile(p, 2) == pytest.approx(closed, rel=1e-9)


def test_survival_is_the_integral_of_the_density() -> None:
    for freedom, t in ((2.5, 1.3), (7.0, 2.0), (41.7, 0.4)):
        scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
        scale /= math.sqrt(freedom * math.pi)
        steps = 20_000
        width = t / steps
        inner = sum(
            (1 + ((i + 0.5) * width) ** 2 / freedom) ** (-(freedom + 1) / 2) for i in range(steps)
        )
        assert t_survival(t, freedom) == pytest.approx(0.5 - scale * inner * width, abs=1e-9)


def test_the_beta_function_at_its_edges_and_its_symmetry() -> None:
    assert incomplete_beta(2, 3, 0) == 0
    assert incomplete_beta(2, 3, 1) == 1
    assert incomplete_beta(1, 1, 0.3) == pytest.approx(0.3)
    assert incomplete_beta(2.5, 4, 0.2) == pytest.approx(1 - incomplete_beta(4, 2.5, 0.8))


def test_one_cycle_has_no_interval_and_none_has_nothing() -> None:
    one = summarise([3.0])
    assert one is not None
    assert (one.n, one.mean) == (1, 3.0)
    assert one.standard_deviation is None
    assert one.coefficient_of_variation is None
    assert one.interval_low is None
    assert one.interval_high is None
    assert summarise([]) is None


def test_three_cycles_by_hand() -> None:
    found = summarise([1.0, 2.0, 3.0])
    assert found is not None
    assert found.standard_deviation == pytest.approx(1.0)
    assert found.coefficient_of_variation == pytest.approx(0.5)
    assert found.interval_high == pytest.approx(2 + 4.302653 / math.sqrt(3), rel=1e-6)
    assert found.interval_low == pytest.approx(2 - 4.302653 / math.sqrt(3), rel=1e-6)


def test_the_half_widths_that_the_facts_of_measuring_give() -> None:
    # A run-to-run coefficient of variation of 0.83 % is ±2.1 %, ±1.0 % and ±0.6 %.
    for n, percent in ((3, 2.1), (5, 1.0), (10, 0.6)):
        half = t_quantile(0.975, n - 1) * 0.83 / math.sqrt(n)
        assert half == pytest.approx(percent, abs=0.05)


def test_the_interval_covers_the_true_mean_in_95_of_100_studies() -> None:
    draw = random.Random(7)
    studies = 4000
    hits = 0
    for _ in range(studies):
        found = summarise([draw.gauss(10, 2) for _ in range(4)])
        assert found is not None
        assert found.interval_low is not None
        assert found.interval_high is not None
        hits += found.interval_low <= 10 <= found.interval_high
    assert hits / studies == pytest.approx(0.95, abs=0.015)


def test_welch_on_a_worked_example() -> None:
    # Example 1 of the English Wikipedia's article on Welch's t-test: t = −2.46, p = 0.021.
    first = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7]
    first += [21.4]
    second = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5]
    second += [24.4]
    a, b = summarise(first), summarise(second)
    assert a is not None
    assert b is not None
    assert welch_p(a, b) == pytest.approx(0.021, abs=5e-4)
    assert differ(a, b) is True


def test_equal_means_are_told_apart_in_one_of_twenty() -> None:
    draw = random.Random(11)
    wrong = 0
    for _ in range(3000):
        a = summarise([draw.gauss(10, 1) for _ in range(5)])
        b = summarise([draw.gauss(10, 4) for _ in range(5)])
        assert a is not None
        assert b is not None
        wrong += bool(differ(a, b))
    assert wrong / 3000 == pytest.approx(0.05, abs=0.015)


def test_one_cycle_cannot_be_compared_and_constants_can() -> None:
    one, two = summarise([3.0]), summarise([3.0, 3.1])
    same, other = summarise([2.0, 2.0]), summarise([2.5, 2.5])
    assert one is not None
    assert two is not None
    assert same is not None
    assert other is not None
    assert differ(one, two) is None
    assert differ(same, other) is True
    assert differ(same, same) is False
