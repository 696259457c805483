"""How often the true adjusted energy lies in the stated interval, over seeded simulated runs.

The budget is the one of results. A run draws the edge errors of a counter and a baseline of five
parts whose idle power scatters; columns are what part of the variance the baseline has. Run with
``uv run python benchmarks/adjusted_coverage.py [runs]``.
"""

from __future__ import annotations

import math
import random
import sys

from llem_core.contracts import DomainReading, EnergyReading, UncertaintyComponent, UsedDevices
from llem_core.measure.baseline.power import baseline_power
from llem_core.measure.baseline.record import PARTS, Idle
from llem_core.measure.energy.uncertainty import budget

WINDOW_S, PART_S, RUN_W, IDLE_W = 60.0, 6.0, 300.0, 70.0
SCATTER_W = 2.0


def reading(name: str, energy_j: float, half_width_j: float) -> DomainReading:
    """A counter whose error is uniform within ± ``half_width_j``."""
    edges = UncertaintyComponent("edges", half_width_j / math.sqrt(3))
    return DomainReading(name, "gpu", energy_j, "counter", uncertainty=(edges,))


def one(chance: random.Random, edge_j: float, cached: bool) -> tuple[float, float, float]:
    """Error of one adjusted energy, its stated uncertainty, and what 2·s/√m would state (J)."""
    *powers_w, now_w = (chance.gauss(IDLE_W, SCATTER_W) for _ in range(PARTS + 1))
    parts = []
    for i, power_w in enumerate(powers_w):
        domain = reading("GPU-a", power_w * PART_S, 0.01)
        parts.append(EnergyReading(str(i), i * PART_S, (i + 1) * PART_S, (domain,)))
    idle = baseline_power(
        Idle(parts, PARTS * PART_S, cached, ""),
        UsedDevices("gpu", frozenset({"GPU-a"})),
        PARTS * PART_S,
    )
    energy_j = RUN_W * WINDOW_S + chance.uniform(-edge_j, edge_j)
    terms = budget([reading("GPU-a", energy_j, edge_j)], idle, WINDOW_S)
    assert terms is not None
    assert terms.adjusted_comparison_j is not None
    # A baseline of another time is held against the idle power of now.
    true_j = (RUN_W - (now_w if cached else IDLE_W)) * WINDOW_S
    adjusted_j = energy_j - (idle.power_w or 0.0) * WINDOW_S
    # As if the mean of five values were normally distributed about the true one.
    share = 1 + 1 / PARTS if cached else 1 / PARTS
    plain_j = 2 * math.hypot(
        (idle.spread_w or 0.0) * math.sqrt(share) * WINDOW_S, edge_j / math.sqrt(3)
    )
    return adjusted_j - true_j, terms.adjusted_comparison_j, plain_j


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    print(f"Intervals of 95 %, {runs} seeded runs each; {PARTS} parts of {PART_S:.0f} s")
    print(f"{'baseline':<10} {'its share':>10} {'covered':>9} {'unwidened':>11}")
    for cached in (False, True):
        for share in (1.0, 0.9, 0.5, 0.1):
            factor = 1 + 1 / PARTS if cached else 1 / PARTS
            baseline_j = SCATTER_W * math.sqrt(factor) * WINDOW_S
            edge_j = baseline_j * math.sqrt(3 * (1 - share) / share)
            chance = random.Random(1)
            found = [one(chance, edge_j, cached) for _ in range(runs)]
            covered = sum(abs(error) <= stated for error, stated, _ in found) / runs
            normal = sum(abs(error) <= plain for error, _, plain in found) / runs
            name = "cached" if cached else "own"
            print(f"{name:<10} {share:>10.0%} {covered:>9.1%} {normal:>11.1%}")


if __name__ == "__main__":
    main()
