"""Statistics of blocks, against worked examples and simulated studies of known truth."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest
from llem_core.results.student import t_quantile
from llem_core.study.summary.blocks import (
    Block,
    Fit,
    compare,
    fit,
    node_effects,
    with_block_interval,
)
from llem_core.study.summary.statistics import summarise

Figures = dict[tuple[str, Block], float]


def fitted(figures: Mapping[tuple[str, Block], float]) -> Fit:
    model = fit(figures)
    assert model is not None
    return model


def simulated(
    draw: random.Random,
    true: Mapping[str, float],
    gains: Mapping[str, float],
    n_cycles: int,
    noise: float,
) -> Figures:
    """Cycles go to the nodes in turn, each whole."""
    nodes = list(gains)
    figures = {}
    for cycle in range(1, n_cycles + 1):
        node = nodes[cycle % len(nodes)]
        for name, value in true.items():
            factor = math.exp(draw.gauss(0, noise)) * gains[node]
            figures[name, (cycle, node)] = value * factor
    return figures


def test_without_noise_everything_is_found_exactly() -> None:
    gains = {"n1": 0.9, "n2": 1.1}
    figures = simulated(random.Random(1), {"a": 2.0, "b": 2.1}, gains, 4, 0.0)
    model = fitted(figures)
    assert model.deviation == pytest.approx(0, abs=1e-9)
    found = compare(model, "a", "b")
    assert found is not None
    assert found.difference_percent == pytest.approx(5)
    assert found.n_blocks == 4
    assert found.told_apart
    centre = math.sqrt(0.9 * 1.1)
    effects = {one.node: one.effect_percent for one in node_effects(model)}
    assert effects == pytest.approx(
        {"n1": 100 * (0.9 / centre - 1), "n2": 100 * (1.1 / centre - 1)}
    )


def test_the_paired_interval_by_hand() -> None:
    logs = {"a": [0.0, 0.1, 0.2], "b": [0.01, 0.12, 0.23]}
    figures = {
        (name, (cycle, "n1")): math.exp(value)
        for name, values in logs.items()
        for cycle, value in enumerate(values, start=1)
    }
    found = compare(fitted(figures), "a", "b")
    assert found is not None
    half = t_quantile(0.975, 2) * 0.01 / math.sqrt(3)
    assert found.difference_percent == pytest.approx(100 * math.expm1(0.02))
    assert found.interval_low_percent == pytest.approx(100 * math.expm1(0.02 - half))
    assert found.interval_high_percent == pytest.approx(100 * math.expm1(0.02 + half))
    assert not found.told_apart  # t = 3.46, p = 0.074


def test_blocks_that_lack_one_of_the_two_are_left_out_of_their_difference() -> None:
    figures = simulated(random.Random(2), {"a": 1.0, "b": 1.2}, {"n1": 1, "n2": 3}, 4, 0.0)
    del figures["b", (4, "n1")]
    found = compare(fitted(figures), "a", "b")
    assert found is not None
    assert (found.n_blocks, found.difference_percent) == (3, pytest.approx(20))
    for cycle, node in ((1, "n2"), (2, "n1")):
        del figures["b", (cycle, node)]
    assert compare(fitted(figures), "a", "b") is None


def test_what_is_not_above_zero_has_no_factor() -> None:
    assert fit({("a", (1, "n1")): 1.0, ("a", (2, "n1")): 0.0}) is None
    assert fit({}) is None


def test_nodes_that_cannot_be_told_from_configurations_have_no_effect() -> None:
    figures = {("a", (1, "n1")): 1.0, ("a", (2, "n1")): 1.1}
    figures |= {("b", (3, "n2")): 2.0, ("b", (4, "n2")): 2.1}
    assert node_effects(fitted(figures)) == []
    assert node_effects(fitted({("a", (1, "n1")): 1.0, ("b", (1, "n1")): 2.0})) == []


def test_one_block_a_node_has_effects_and_no_interval() -> None:
    figures = simulated(random.Random(3), {"a": 1.0, "b": 1.2}, {"n1": 1, "n2": 1.1}, 2, 0.01)
    first, second = node_effects(fitted(figures))
    assert (first.node, first.n_runs, first.n_blocks) == ("n1", 2, 1)
    assert first.interval_low_percent is None
    assert second.effect_percent > 0 > first.effect_percent


def test_the_interval_of_a_mean_leaves_the_nodes_out() -> None:
    figures = simulated(random.Random(4), {"a": 1.0, "b": 2.0}, {"n1": 0.8, "n2": 1.2}, 6, 0.01)
    model = fitted(figures)
    plain = summarise([value for (name, _), value in figures.items() if name == "a"])
    assert plain is not None
    blocked = with_block_interval(plain, model)
    assert blocked.mean == plain.mean
    assert blocked.standard_deviation == plain.standard_deviation
    assert plain.interval_high is not None
    assert blocked.interval_high is not None
    assert blocked.interval_high - blocked.mean < (plain.interval_high - plain.mean) / 5
    assert with_block_interval(plain, None) == plain
    lonely = fitted({("a", (1, "n1")): 1.0, ("a", (2, "n2")): 1.1})
    assert with_block_interval(plain, lonely).interval_low is None


@pytest.mark.parametrize(("n_cycles", "configurations"), [(4, 2), (6, 3)])
def test_stated_intervals_hold_the_truth_in_95_of_100_studies(
    n_cycles: int, configurations: int
) -> None:
    draw = random.Random(5)
    true = {f"c{n}": 1 + n / 50 for n in range(configurations)}
    studies, ratio_hits, mean_hits, effect_hits = 500, 0, 0, 0
    for _ in range(studies):
        gains = {name: math.exp(draw.gauss(0, 0.05)) for name in ("n1", "n2")}
        figures = simulated(draw, true, gains, n_cycles, 0.01)
        model = fitted(figures)
        found = compare(model, "c0", "c1")
        assert found is not None
        ratio_hits += found.interval_low_percent <= 2 <= found.interval_high_percent
        plain = summarise([value for (name, _), value in figures.items() if name == "c0"])
        assert plain is not None
        blocked = with_block_interval(plain, model)
        assert blocked.interval_low is not None
        assert blocked.interval_high is not None
        here = sum(gains.values()) / 2  # the mean over the nodes that were used
        mean_hits += blocked.interval_low <= here <= blocked.interval_high
        first = node_effects(model)[0]
        assert first.interval_low_percent is not None
        assert first.interval_high_percent is not None
        truth = 100 * (gains["n1"] / math.sqrt(gains["n1"] * gains["n2"]) - 1)
        effect_hits += first.interval_low_percent <= truth <= first.interval_high_percent
    for hits in (ratio_hits, mean_hits, effect_hits):
        assert hits / studies == pytest.approx(0.95, abs=0.03)
