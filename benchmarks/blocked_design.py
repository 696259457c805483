"""What blocks by node are worth: coverage and width of stated intervals, over simulated studies.

Two configurations of known ratio run on nodes of known gains. Three designs: each cycle whole on
one node and compared within it (`block: node`); every run on a node drawn at random, compared by
Welch's test (`block: none`); and each configuration on a node of its own, which nobody should do.
The figures of a study go through the project's own statistics. Run with
``uv run python benchmarks/blocked_design.py [studies]``; seeded.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

from llem_core.results.student import t_quantile
from llem_core.study.summary.blocks import Block, compare, fit, node_effects, with_block_interval
from llem_core.study.summary.statistics import summarise

# A run-to-run deviation of 0.8 % is what was seen on one card; cards of a model differ by percents.
NOISE, RATIO = 0.008, 1.02
Figures = dict[tuple[str, Block], float]
Place = Callable[[random.Random, str, int, list[str]], str]


def blocked(chance: random.Random, name: str, cycle: int, nodes: list[str]) -> str:
    """Cycles go to the nodes in turn."""
    del chance, name
    return nodes[cycle % len(nodes)]


def scattered(chance: random.Random, name: str, cycle: int, nodes: list[str]) -> str:
    """Each run goes wherever there is room."""
    del name, cycle
    return chance.choice(nodes)


def apart(chance: random.Random, name: str, cycle: int, nodes: list[str]) -> str:
    """Each configuration has a node of its own."""
    del chance, cycle
    return nodes[0 if name == "a" else 1]


def simulate(
    chance: random.Random, place: Place, n_nodes: int, n_cycles: int, spread: float
) -> tuple[Figures, dict[str, float]]:
    gains = {f"n{n}": math.exp(chance.gauss(0, spread)) for n in range(n_nodes)}
    figures: Figures = {}
    for cycle in range(n_cycles):
        for name, true in (("a", 1.0), ("b", RATIO)):
            node = place(chance, name, cycle, list(gains))
            figures[name, (cycle, node)] = true * gains[node] * math.exp(chance.gauss(0, NOISE))
    return figures, gains


@dataclass(frozen=True)
class Interval:
    low: float
    high: float

    def holds(self, truth: float) -> bool:
        return self.low <= truth <= self.high


def welch(figures: Figures) -> Interval:
    """The interval of the ratio that Welch's test of the logarithms gives: no node is known."""
    a, b = ([math.log(v) for (n, _), v in figures.items() if n == name] for name in ("a", "b"))
    va, vb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    middle = statistics.fmean(b) - statistics.fmean(a)
    half = t_quantile(0.975, freedom) * math.sqrt(va + vb)
    return Interval(math.exp(middle - half), math.exp(middle + half))


def paired(figures: Figures) -> Interval:
    model = fit(figures)
    assert model is not None
    found = compare(model, "a", "b")
    assert found is not None
    return Interval(1 + found.interval_low_percent / 100, 1 + found.interval_high_percent / 100)


DESIGNS: dict[str, tuple[Place, Callable[[Figures], Interval]]] = {
    "block: node": (blocked, paired),
    "block: none": (scattered, welch),
    "a node each": (apart, welch),
}


def ratios(studies: int) -> None:
    print("interval of the ratio of two configurations (truth: 1.02), 95 % stated")
    print(f"{'nodes':>5} {'differ':>7} {'cycles':>6}  {'design':<12} {'covered':>8} ", end="")
    print(f"{'half-width':>10} {'told apart':>10}")
    for n_nodes, spread, n_cycles in (
        *((2, 0.0, 4), (2, 0.03, 4), (2, 0.03, 8)),
        *((4, 0.03, 8), (4, 0.10, 8), (10, 0.03, 10)),
    ):
        widths = {}
        for design, (place, interval) in DESIGNS.items():
            chance = random.Random(f"{n_nodes} {spread} {n_cycles} {design}")
            held, apart_, half = 0, 0, []
            for _ in range(studies):
                figures, _ = simulate(chance, place, n_nodes, n_cycles, spread)
                found = interval(figures)
                held += found.holds(RATIO)
                apart_ += not found.holds(1.0)
                half.append((found.high - found.low) / 2)
            widths[design] = statistics.median(half)
            print(
                f"{n_nodes:>5} {spread:>6.0%}  {n_cycles:>6}  {design:<12} {held / studies:>7.1%} "
                f"{widths[design]:>10.2%} {apart_ / studies:>10.1%}"
            )
        gain = widths["block: none"] / widths["block: node"]
        print(
            f"{'':>21}  the interval without blocks is {gain:.1f} times as wide: what blocks save "
            f"is worth {gain**2:.1f} times the runs"
        )


def others(studies: int) -> None:
    print("\nother intervals with blocks, 95 % stated: covered")
    for n_nodes, n_cycles in ((2, 4), (4, 8)):
        chance = random.Random(f"others {n_nodes}")
        means = plain = effects = 0
        for _ in range(studies):
            figures, gains = simulate(chance, blocked, n_nodes, n_cycles, 0.03)
            model = fit(figures)
            assert model is not None
            over = summarise([v for (name, _), v in figures.items() if name == "a"])
            assert over is not None
            here = statistics.fmean(gains.values())
            within = with_block_interval(over, model)
            assert within.interval_low is not None
            assert within.interval_high is not None
            assert over.interval_low is not None
            assert over.interval_high is not None
            means += Interval(within.interval_low, within.interval_high).holds(here)
            plain += Interval(over.interval_low, over.interval_high).holds(1.0)
            first = node_effects(model)[0]
            assert first.interval_low_percent is not None
            assert first.interval_high_percent is not None
            centre = math.exp(statistics.fmean(math.log(gain) for gain in gains.values()))
            truth = 100 * (gains[first.node] / centre - 1)
            effects += first.interval_low_percent <= truth <= first.interval_high_percent
        print(
            f"  {n_nodes} nodes, {n_cycles} cycles: mean of a configuration on these nodes "
            f"{means / studies:.1%}, a node's effect {effects / studies:.1%}; the t-interval over "
            f"cycles for the mean on any node {plain / studies:.1%}"
        )


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    ratios(n)
    others(n)
