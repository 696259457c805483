"""How often ``llem compare`` is wrong, over simulated pairs of studies of known difference.

Each trial writes two studies with real result files (some configurations, some cycles, the energy
per output token scattered log-normally about a true value), reads them back and compares them as
the command does. Printed are, for each true difference: how often the gate fails (exit code 3), and
how often the interval holds the true difference.

    python benchmarks/compare_proof.py [--trials 1000] [--cycles 5] [--scatter 1.0] [--seed 1]

The bar: false alarms at most the stated 5 %, in all of the comparison, where the true loss is at
the limit or below; intervals hold the true value in 95 % of trials.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llem_core.plugins import Plugins, use_plugins
from llem_core.results.experiment import ExperimentResult
from llem_core.sinks import hooks as core_sinks
from llem_core.study.launch import hooks as core_launchers
from llem_core.study.record.manifest import ManifestEntry, StudyManifest
from llem_core.testing import FakePlugin, scripted_backend, scripted_sampler
from llem_report.compare import Comparison, Question, Side, compare, read_side
from llenergymeasure import run_experiment

CONFIDENCE = 0.95
HASHES = ("a", "b", "c")


@dataclass(frozen=True)
class Case:
    """True difference (%), the limit of the gate (%), and whether cycles share a disturbance."""

    difference: float
    limit: float
    paired: bool
    configurations: int = 1

    @property
    def loss_is_beyond(self) -> bool:
        return self.difference > self.limit


CASES = (
    Case(0, 3, paired=False),
    Case(0, 0, paired=False),
    Case(0, 0, paired=True),
    Case(0, 0, paired=False, configurations=3),
    Case(3, 3, paired=False),
    Case(3, 3, paired=True),
    Case(3, 0, paired=False),
    Case(3, 0, paired=True),
    Case(3, 1, paired=False),
    Case(6, 3, paired=False),
)


@dataclass
class Counted:
    """What came out of the trials of one case."""

    alarms: int = 0
    rows: int = 0
    covered: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)

    def take(self, found: Comparison, case: Case) -> None:
        self.alarms += found.failed
        for row in found.rows:
            assert row.interval_low_percent is not None
            assert row.interval_high_percent is not None
            self.rows += 1
            low, high = row.interval_low_percent, row.interval_high_percent
            self.covered += low <= case.difference <= high
            self.verdicts[row.verdict] = self.verdicts.get(row.verdict, 0) + 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--scatter", type=float, default=1.0, help="of a run (%%)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = {case: Counted() for case in CASES}
    template = _template()
    with tempfile.TemporaryDirectory() as place:
        for case, counted in found.items():
            chance = random.Random(f"{asked.seed} {case}")
            for number in range(asked.trials):
                sides = _sides(template, case, asked, chance, Path(place), number)
                question = Question(max_regression_percent=case.limit, confidence=CONFIDENCE)
                counted.take(compare(*sides, question), case)
    return _tell(found, asked)


def _tell(found: dict[Case, Counted], asked: argparse.Namespace) -> int:
    allowed = _most(asked.trials, 1 - CONFIDENCE)
    worst, rows = 0, []
    for case, counted in found.items():
        kind = "power" if case.loss_is_beyond else "false alarms"
        if not case.loss_is_beyond and counted.alarms > allowed:
            worst = 1
        coverage = counted.covered / counted.rows
        if counted.rows - counted.covered > _most(counted.rows, 1 - CONFIDENCE):
            worst = 1
        rows.append(
            {
                "true_difference_percent": case.difference,
                "limit_percent": case.limit,
                "design": "paired" if case.paired else "Welch",
                "configurations": case.configurations,
                "kind": kind,
                "gate_fails": counted.alarms / asked.trials,
                "interval_coverage": coverage,
                "verdicts": counted.verdicts,
            }
        )
    if asked.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return worst
    print(
        f"{asked.trials} trials each, {asked.cycles} cycles, runs scatter by {asked.scatter} %, "
        f"confidence {CONFIDENCE:.0%}, seed {asked.seed}"
    )
    print("true loss  limit  design  configurations  gate fails                intervals hold it")
    for row in rows:
        print(
            f"{row['true_difference_percent']:7.1f} %  {row['limit_percent']:3.0f} %  "
            f"{row['design']:>6}  {row['configurations']:14d}  {row['gate_fails']:7.1%} "
            f"({row['kind']:<12})  {row['interval_coverage']:17.1%}"
        )
    print(f"false alarms allowed by chance at a true rate of 5 %: {allowed / asked.trials:.1%}")
    print("holds" if worst == 0 else "DOES NOT HOLD")
    return worst


def _most(n: int, probability: float) -> float:
    """What a binomial count of this probability exceeds once in about 1,000 times."""
    return n * probability + 3.1 * math.sqrt(n * probability * (1 - probability))


def _sides(
    template: dict[str, Any],
    case: Case,
    asked: argparse.Namespace,
    chance: random.Random,
    place: Path,
    number: int,
) -> Iterator[Side]:
    # What disturbs a cycle on both sides alike, such as a card that is still cold.
    spread = 3 * asked.scatter / 100 if case.paired else 0.0
    shared = [chance.gauss(0, spread) for _ in range(asked.cycles)]
    for side, factor in (("before", 1.0), ("after", 1 + case.difference / 100)):
        design = "same" if case.paired else side
        folder = place / f"{CASES.index(case)}-{number}-{side}"
        entries = []
        for name in HASHES[: case.configurations]:
            for cycle in range(1, asked.cycles + 1):
                noise = chance.gauss(0, asked.scatter / 100) + shared[cycle - 1]
                energy_j = 0.01 * factor * math.exp(noise)
                entries.append(_write(template, folder, name, cycle, energy_j))
        manifest = StudyManifest(
            study_name=side,
            study_design_hash=design,
            status="completed",
            started_at="2026-01-01T00:00:00Z",
            experiments=entries,
        )
        (folder / "manifest.json").write_text(manifest.model_dump_json())
        yield read_side(folder)
        for file in sorted(folder.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()


def _write(
    template: dict[str, Any], folder: Path, name: str, cycle: int, energy_j: float
) -> ManifestEntry:
    own = folder / f"{name}_c{cycle}"
    own.mkdir(parents=True)
    content = {
        **template,
        "measurement_config_hash": name,
        "energy_per_output_token_j": energy_j,
        "energy_total_j": energy_j * template["output_tokens"],
    }
    (own / "result.json").write_text(json.dumps(content))
    return ManifestEntry(
        config_hash=name,
        cycle=cycle,
        status="completed",
        result_file=f"{own.name}/result.json",
    )


def _template() -> dict[str, Any]:
    """A real result of a scripted engine and meter, as it stands in its file."""
    plugins = Plugins()
    plugins.register(core_sinks, "core-sinks")
    plugins.register(core_launchers, "core-launchers")
    scripted = FakePlugin(backends=[scripted_backend()], samplers=[scripted_sampler()])
    plugins.register(scripted, "scripted")
    with use_plugins(plugins):
        result: ExperimentResult = run_experiment(
            model="m",
            backend="scripted",
            n=2,
            max_output_tokens=4,
            scripted={"token_time_s": 0.001},
            baseline={"enabled": False},
            warmup={"enabled": False},
        )
    content: dict[str, Any] = json.loads(result.model_dump_json())
    return content


if __name__ == "__main__":
    sys.exit(main())
