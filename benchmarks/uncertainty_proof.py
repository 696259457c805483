"""Holds the NVML sampler against simulated devices whose true joules are known.

Every run is one window of the production sampler, through the real NVML binding, over a device
with its own random phase, start, refresh jitter, gain and offset, in simulated time. Prints the
tables of docs/uncertainty.md: ``uv run python benchmarks/uncertainty_proof.py [--runs N]``. With
``--write`` it puts them into the page, between its markers.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llem_energy_nvml.config import Calibration, NvmlConfig
from llem_energy_nvml.testing import (
    Constant,
    Curve,
    Ramp,
    Shifted,
    SimulatedGpu,
    Square,
    generation,
    measure_window,
    spiky,
)

PAGE = Path(__file__).parent.parent / "docs" / "uncertainty.md"
COVERAGE, COVERAGE_FACTOR = 0.95, 2.0
FEWEST_RUNS = 30
DURATIONS_S = (1, 5, 10, 60)
LEAST_GAIN, MOST_GAIN = 0.92, 1.13
OFFSET_W = 2.0
MOST_ERROR_AT_10_S = 0.005


def near(value: float, rng: random.Random) -> float:
    """A load's period is off by up to 3 %: some are in step with a sensor, most for a while."""
    return value * rng.uniform(0.97, 1.03)


CURVES: dict[str, Callable[[random.Random], Curve]] = {
    "constant": lambda rng: Constant(rng.uniform(100, 600)),
    "ramp, 20 s": lambda rng: Ramp(100, 500, near(20, rng)),
    "square, 20 ms": lambda rng: Square(100, 500, near(0.02, rng)),
    "square, 100 ms": lambda rng: Square(100, 500, near(0.1, rng)),
    "square, 370 ms": lambda rng: Square(100, 500, near(0.37, rng)),
    "square, 5 s": lambda rng: Square(100, 500, near(5, rng)),
    "spiky, 5 ms of 200": lambda rng: spiky(100, 650, near(0.2, rng), 0.005),
    "prefill and decode": lambda rng: generation(
        prefill_s=rng.uniform(0.05, 0.5), decode_s=rng.uniform(0.5, 3)
    ),
}


@dataclass(frozen=True)
class Kind:
    """A kind of sensor, with the facts that a device of it may have.

    Attributes:
        facts: of the device, drawn anew for each run.
        counter: whether the energy of record comes from the counter, its edges aligned.
        calibrated: whether the lab has measured the card's gain and offset.
        align: whether edges are aligned.
    """

    facts: Callable[[random.Random], dict[str, Any]]
    counter: bool = True
    calibrated: bool = False
    align: bool = True


def refresh(rng: random.Random) -> dict[str, Any]:
    return {"counter_refresh_s": rng.uniform(0.02, 0.1)}


KINDS: dict[str, Kind] = {
    "healthy: counter every 20 to 100 ms": Kind(refresh),
    "counter every 100 ms": Kind(lambda _: {"counter_refresh_s": 0.1}),
    "counter up to 25 ms late": Kind(
        lambda rng: {**refresh(rng), "counter_lag_s": rng.uniform(0, 0.025)}
    ),
    "gain known to ± 1 %": Kind(refresh, calibrated=True),
    "calls of 0.1 to 8 ms": Kind(lambda rng: {**refresh(rng), "call_s": (0.0001, 0.008)}),
    "power over 100 ms (Ada)": Kind(
        lambda rng: {**refresh(rng), "power_window_s": 0.1, "architecture": 8, "name": "L40"}
    ),
    "power averaged over 1 s (old driver)": Kind(
        lambda rng: {**refresh(rng), "power_window_s": None, "architecture": 7, "name": "A10"}
    ),
    "edges not aligned": Kind(refresh, align=False),
    "no counter, 10 of 20 ms (Pascal)": Kind(
        lambda _: {
            "counter_refresh_s": None,
            "power_window_s": None,
            "legacy_window_s": 0.01,
            "power_update_s": 0.02,
            "architecture": 4,
            "name": "P100",
        },
        counter=False,
    ),
    "no counter, 25 of 100 ms": Kind(
        lambda _: {"counter_refresh_s": None},
        counter=False,
    ),
    "no counter, averaged over 1 s": Kind(
        lambda _: {
            "counter_refresh_s": None,
            "power_window_s": None,
            "architecture": 8,
            "name": "vGPU",
        },
        counter=False,
    ),
}


@dataclass
class Cell:
    """What some runs came to; shares are of the true energy."""

    runs: int = 0
    null: int = 0
    in_comparison: int = 0
    in_absolute: int = 0
    errors: list[float] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    absolute_widths: list[float] = field(default_factory=list)

    def add(self, run: Run) -> None:
        self.runs += 1
        if run.error is None:
            self.null += 1
            return
        self.in_comparison += run.error <= run.comparison
        self.in_absolute += run.true_error <= run.absolute
        self.errors.append(run.error)
        self.widths.append(run.comparison)
        self.absolute_widths.append(run.absolute)

    def row(self, *names: str) -> str:
        read = max(self.runs - self.null, 1)
        return (
            f"| {' | '.join(names)} | {self.runs} | {self.in_comparison / read:.1%} | "
            f"{self.in_absolute / read:.1%} | {statistics.median(self.errors):.2%} | "
            f"{max(self.errors):.2%} | ± {statistics.mean(self.widths):.2%} | "
            f"± {statistics.mean(self.absolute_widths):.1%} |"
        )


@dataclass(frozen=True)
class Run:
    """One window. ``error`` is against what the card itself would tell if it had no fault but its
    gain and offset, ``true_error`` against the true joules; all are shares of the true energy."""

    error: float | None
    true_error: float
    comparison: float
    absolute: float


HEADING = (
    "runs | inside comparison | inside absolute | median error | greatest error | "
    "comparison, mean | absolute, mean"
)


def one_run(kind: Kind, curve: Curve, duration_s: float, rng: random.Random) -> Run:
    facts = kind.facts(rng)
    gain, offset_w = rng.uniform(LEAST_GAIN, MOST_GAIN), rng.uniform(-OFFSET_W, OFFSET_W)
    gpu = SimulatedGpu(
        Shifted(curve, rng.uniform(0, 20)),
        gain=gain,
        offset_w=offset_w,
        phase_s=rng.random() * 0.1,
        jitter=0.05,
        noise_w=0.5,
        seed=rng.randrange(2**31),
        **facts,
    )
    calibration = {}
    if kind.calibrated:
        stated = gain * rng.uniform(0.99, 1.01)
        known = Calibration(gain=stated, gain_half_width=0.01, offset_w=offset_w)
        calibration = {"any": known}
    config = NvmlConfig(passport=False, align_edges=kind.align, calibration=calibration)
    done = measure_window([gpu], duration_s, config=config, lead_s=rng.uniform(1.0, 1.5))
    domain, true_j = done.domain, done.true_j[0]
    if domain.energy_j is None:
        return Run(None, 0.0, 0.0, 0.0)
    told_j = done.told_j[0]
    if kind.calibrated:
        window_s = done.reading.duration_s
        told_j = (told_j - offset_w * window_s) / calibration["any"].gain
    terms = {
        "comparison": [t.standard_j for t in domain.uncertainty if not t.common_to_runs],
        "absolute": [t.standard_j for t in domain.uncertainty],
    }
    comparison, absolute = (
        COVERAGE_FACTOR * math.hypot(*terms[scope]) / true_j for scope in ("comparison", "absolute")
    )
    return Run(
        abs(domain.energy_j - told_j) / true_j,
        abs(domain.energy_j - true_j) / true_j,
        comparison,
        absolute,
    )


@dataclass
class Proof:
    """All runs by kind, curve and length; those of aligned counters also by the latter two."""

    by_kind: dict[str, Cell] = field(default_factory=lambda: defaultdict(Cell))
    by_curve: dict[str, Cell] = field(default_factory=lambda: defaultdict(Cell))
    by_length: dict[tuple[str, int], Cell] = field(default_factory=lambda: defaultdict(Cell))
    cells: dict[tuple[str, str, int], Cell] = field(default_factory=lambda: defaultdict(Cell))

    def add(self, name: str, curve_name: str, duration_s: int, run: Run) -> None:
        kind = KINDS[name]
        self.by_kind[name].add(run)
        self.cells[name, curve_name, duration_s].add(run)
        if kind.counter and kind.align:
            self.by_curve[curve_name].add(run)
            self.by_length[curve_name, duration_s].add(run)

    def tellable(self) -> list[tuple[tuple[str, str, int], Cell]]:
        """Single cells with runs enough to tell a coverage."""
        return [(key, cell) for key, cell in self.cells.items() if cell.runs >= FEWEST_RUNS]

    def worst(self) -> str:
        """The least share of runs inside, among single cells."""
        shares = [
            (min(cell.in_comparison, cell.in_absolute) / cell.runs, key)
            for key, cell in self.tellable()
        ]
        if not shares:
            return ""
        share, (name, curve, duration_s) = min(shares)
        return (
            f" Of {len(shares)} single cells (sensor, curve, window) the worst has {share:.1%} of "
            f"its runs inside: {name}; {curve}; {duration_s} s."
        )

    def failures(self) -> list[str]:
        """What does not hold of what is promised."""
        single = [(f"{name}, {curve}, {s} s", cell) for (name, curve, s), cell in self.tellable()]
        cells = [*self.by_kind.items(), *self.by_curve.items(), *single]
        found = [
            f"{name}: {cell.in_comparison} and {cell.in_absolute} of {cell.runs} inside"
            for name, cell in cells
            if min(cell.in_comparison, cell.in_absolute) < COVERAGE * cell.runs
        ]
        for (name, duration_s), cell in self.by_length.items():
            if duration_s == 10 and max(cell.errors) > MOST_ERROR_AT_10_S:
                found.append(f"{name}: an error of {max(cell.errors):.2%} over 10 s")
        return found


def prove(runs: int, seed: int, kinds: Iterable[str] = tuple(KINDS)) -> Proof:
    """Run every kind over every curve and length: ``runs`` a kind."""
    proof = Proof()
    for name in kinds:
        each = math.ceil(runs / (len(CURVES) * len(DURATIONS_S)))
        for curve_name, make in CURVES.items():
            for duration_s in DURATIONS_S:
                for number in range(each):
                    rng = random.Random(f"{seed} {name} {curve_name} {duration_s} {number}")
                    run = one_run(KINDS[name], make(rng), duration_s, rng)
                    proof.add(name, curve_name, duration_s, run)
    return proof


def tables(proof: Proof) -> str:
    lines = [f"| sensor | {HEADING} |", "|---" * 8 + "|"]
    lines += [cell.row(name) for name, cell in proof.by_kind.items()]
    lines += ["", f"| curve (aligned counters) | {HEADING} |", "|---" * 8 + "|"]
    lines += [cell.row(name) for name, cell in proof.by_curve.items()]
    lines += ["", f"| curve | window | {HEADING} |", "|---" * 9 + "|"]
    lines += [
        cell.row(name, f"{duration_s} s") for (name, duration_s), cell in proof.by_length.items()
    ]
    return "\n".join(lines)


# What a user sees of each fault: the device, and whether its figure is null.
DEFECTS: dict[str, dict[str, Any]] = {
    "counter reset": {"reset_at_s": 6.0},
    "counter reset, then past its old value": {"reset_at_s": 3.0, "counter_start_j": 20.0},
    "dead counter": {"dead_from_s": 0.0},
    "counter frozen for 0.6 s": {"frozen_s": (5.0, 5.6)},
    "counter jumps by 1 MJ": {"jump_at_s": 6.0},
    "counter jumps by 500 J": {"jump_at_s": 6.0, "jump_j": 500.0},
    "device lost": {"lost_from_s": 6.0},
    "device lost for 2 s": {"lost_from_s": 5.0, "lost_until_s": 7.0},
    "MIG on": {"mig": True},
    "no counter, power over part of the time": {"counter_refresh_s": None},
    "other process": {"pids": (999_999_999,)},
}


def messages() -> str:
    """The table of faults and what the sampler says of them."""
    lines = ["| fault | energy | what the result says |", "|---|---|---|"]
    for name, facts in DEFECTS.items():
        gpu = SimulatedGpu(Constant(300.0), **{"phase_s": 0.03, **facts})
        done = measure_window([gpu], 10.0)
        domain = done.domain
        energy = "null" if domain.energy_j is None else f"{domain.energy_j:.0f} J"
        shared = [f"used by another process: {who}" for who in domain.shared_with]
        told = [domain.reason, *done.reading.warnings, *shared]
        lines.append(f"| {name} | {energy} | {' '.join(t for t in told if t)} |")
    return "\n".join(lines)


def written(page: str, name: str, text: str) -> str:
    """The page with what stands between a pair of markers replaced.

    Raises:
        ValueError: the page does not have the markers.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    head, _, rest = page.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no markers {begin} and {end}")
    return f"{head}{begin}\n\n{text}\n\n{end}{tail}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="runs of each kind of sensor")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    options = parser.parse_args()
    started_s = time.process_time()
    proof = prove(options.runs, options.seed)
    total = sum(cell.runs for cell in proof.by_kind.values())
    text = f"{tables(proof)}\n\n{total} runs, seed {options.seed}.{proof.worst()}"
    print(f"{text}\n\n{messages()}\n\n{time.process_time() - started_s:.0f} s of CPU time")
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        page = written(written(page, "proof", text), "messages", messages())
        PAGE.write_text(page, encoding="utf-8")
    for failure in proof.failures():
        print(f"does not hold: {failure}")
    return 1 if proof.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
