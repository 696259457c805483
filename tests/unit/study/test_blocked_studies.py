"""Studies whose cycles are kept on one node each."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llem_core.config.loader import study_from
from llem_core.study.order import Order
from llem_core.study.plan import apply_cycles
from llem_core.study.record.manifest import load_manifest
from llem_core.study.summary.collect import assemble_study
from llem_core.testing import QueueLauncher
from llenergymeasure import StudyConfig, StudyResult, StudyRunner

from tests.unit.study.test_assemble import outcomes, study

pytestmark = pytest.mark.usefixtures("scripted")


def content(n: int, **execution: Any) -> StudyConfig:
    return study_from(
        {
            "name": "s",
            "model": "m",
            "backend": "scripted",
            "baseline": {"enabled": False},
            "warmup": {"enabled": False},
            "sweep": {"n": list(range(1, n + 1))},
            "execution": execution,
        }
    )


def take(found: StudyConfig, folder: Path, launcher: QueueLauncher) -> StudyResult:
    return StudyRunner(found, folder, launcher=launcher, gaps=False).run()


def nodes_by_cycle(folder: Path) -> dict[int, list[str | None]]:
    found: dict[int, list[str | None]] = defaultdict(list)
    for entry in load_manifest(folder).runs():
        found[entry.cycle].append(entry.node)
    return found


@pytest.mark.parametrize(
    "order",
    [
        "shuffled",
        *(pytest.param(order, marks=pytest.mark.full) for order in ("interleaved", "sequential")),
    ],
)
def test_each_cycle_is_whole_on_one_node(order: str, tmp_path: Path) -> None:
    launcher = QueueLauncher(slots=2, polls_in_queue=1, nodes=("n1", "n2", "n3"))
    result = take(content(3, n_cycles=4, cycle_order=order), tmp_path, launcher)
    assert result.summary.n_completed == 12
    found = nodes_by_cycle(tmp_path)
    assert all(len(set(nodes)) == 1 and nodes[0] for nodes in found.values()), found
    assert len({nodes[0] for nodes in found.values()}) > 1
    assert launcher.most_at_once == 2
    tasks = [job.task for job in launcher.jobs.values()]
    assert {task.block for task in tasks} == {f"cycle-{n}" for n in range(1, 5)}
    assert sum(task.node is None for task in tasks) == 4  # the first run of each cycle
    assert result.measurement_protocol.block == "node"
    rows = list(csv.DictReader((tmp_path / "study.csv").read_text().splitlines()))
    assert {row["node"] for row in rows} == {nodes[0] for nodes in found.values()}


@pytest.mark.parametrize(
    ("execution", "slots", "blocked"),
    [
        ({"n_cycles": 2}, 2, True),
        ({"n_cycles": 2}, 1, False),
        ({"n_cycles": 1}, 2, False),
        ({"n_cycles": 1, "block": "node"}, 2, True),
        ({"n_cycles": 2, "block": "node"}, 1, True),
        ({"n_cycles": 2, "block": "none"}, 2, False),
    ],
)
def test_when_cycles_are_blocks(
    execution: dict[str, Any], slots: int, blocked: bool, tmp_path: Path
) -> None:
    launcher = QueueLauncher(slots=slots, nodes=("n1", "n2", "n3", "n4"))
    result = take(content(3, **execution), tmp_path, launcher)
    assert result.measurement_protocol.block == ("node" if blocked else None)
    assert ("Welch" in result.measurement_protocol.comparison) is not blocked
    whole = all(len(set(nodes)) == 1 for nodes in nodes_by_cycle(tmp_path).values())
    assert whole is blocked
    if slots > 1 and not blocked:
        assert launcher.most_at_once == slots


def test_what_is_left_of_a_block_leaves_a_node_that_was_lost(tmp_path: Path) -> None:
    launcher = QueueLauncher(slots=1, lost=(2,), nodes=("n1", "n2"))
    take(content(3, n_cycles=1, block="node"), tmp_path, launcher)
    asked = [job.task.node for job in launcher.jobs.values()]
    assert asked == [None, "n1", None]


def test_a_resumed_study_goes_on_with_a_block_on_its_node(tmp_path: Path) -> None:
    launcher = QueueLauncher(slots=1, lost=(2,), nodes=("n7",))
    take(content(2, n_cycles=1, block="node"), tmp_path, launcher)
    again = QueueLauncher(slots=1, nodes=("n1",))
    take(content(2, n_cycles=1, block="node"), tmp_path, again)
    assert [job.task.node for job in again.jobs.values()] == ["n7"]


def test_a_block_has_one_slot_at_a_time_and_a_slot_stays_with_its_block() -> None:
    found = content(2, n_cycles=3, cycle_order="interleaved")
    runs = apply_cycles(found.experiments, found.execution, "")
    order = Order(runs, blocked=True)
    first = order.pick(None)
    assert first == 0
    order.take(first)
    second = order.pick(None)
    assert second == 2, "the first run of the second cycle"
    order.take(second)
    assert order.pick(runs[0]) == 4, "its own block is not free yet, so a new one"
    order.end(first)
    assert order.pick(runs[first]) == 1
    assert order.pick(None) == 1
    order.take(4)
    order.take(1)
    assert order.pick(None) is None, "all that is left has to wait for its block"
    assert order


def assembled(
    energies: list[float | None],
    nodes: list[str | None],
    folder: Path,
    *,
    blocked: bool,
    n: int = 2,
) -> StudyResult:
    found = study(len(energies) // n, n)
    runs = outcomes(found, folder, energies)
    placed = [replace(run, node=node) for run, node in zip(runs, nodes, strict=True)]
    return assemble_study(
        found,
        placed,
        status="completed",
        started_at="2026-01-01T00:00:00Z",
        finished_at="2026-01-01T01:00:00Z",
        duration_total_s=3600,
        directory=folder,
        blocked=blocked,
    )


# Two configurations, 1 % apart, on two nodes that are 20 % apart.
ENERGIES: list[float | None] = [1.0, 1.0101, 1.2, 1.2119, 1.001, 1.011, 1.2012, 1.2132]
NODES: list[str | None] = ["n1", "n1", "n2", "n2"] * 2


def test_a_difference_that_nodes_hide_is_found_within_blocks(tmp_path: Path) -> None:
    plain = assembled(ENERGIES, [None] * 8, tmp_path, blocked=False)
    assert plain.configurations[1].indistinguishable_from_previous is True
    assert plain.nodes == []
    blocked = assembled(ENERGIES, NODES, tmp_path, blocked=True)
    first, second = blocked.configurations
    assert (first.rank, second.rank) == (1, 2)
    assert second.indistinguishable_from_previous is False
    found = second.difference_from_previous
    assert found is not None
    assert found.interval_low_percent < 1 < found.interval_high_percent
    assert found.difference_percent == pytest.approx(1, abs=0.02)
    assert found.n_blocks == 4
    assert first.difference_from_previous is None
    assert [(one.node, one.n_runs, one.n_blocks) for one in blocked.nodes] == [
        ("n1", 4, 2),
        ("n2", 4, 2),
    ]
    factor = 1 + blocked.nodes[1].effect_percent / 100
    assert factor**2 == pytest.approx(1.2, abs=0.002)
    assert blocked.warnings == []


def test_a_failed_run_takes_its_block_out_of_the_difference_alone(tmp_path: Path) -> None:
    energies = [None, *ENERGIES[1:]]
    found = assembled(energies, NODES, tmp_path, blocked=True)
    first, second = found.configurations
    assert (first.rank, second.rank) == (1, 2), "though its mean has two of three on the worse node"
    assert first.energy_per_output_token_j is not None
    assert second.energy_per_output_token_j is not None
    assert first.energy_per_output_token_j.mean > second.energy_per_output_token_j.mean
    difference = second.difference_from_previous
    assert difference is not None
    assert difference.n_blocks == 3


@pytest.mark.parametrize(
    ("nodes", "blocked", "told"),
    [
        (["n1", "n2", "n2", "n1"], False, "Runs were spread over 2 nodes (n1, n2)"),
        (["n1", "n2", "n1", "n2"], False, "n=1 ran on n1 (2) and n=2 on n2 (2)"),
        (["n1", "n2", "n1", "n2"], True, "whether the configurations or the nodes differ"),
        (["n1", "n1", "n1", "n1"], False, None),
        ([None, None, None, None], False, None),
        (["n1", "n1", "n2", "n2"], True, None),
    ],
)
def test_what_nodes_confound_is_told(
    nodes: list[str | None], blocked: bool, told: str | None, tmp_path: Path
) -> None:
    result = assembled([1.0, 1.1, 1.2, 1.3], nodes, tmp_path, blocked=blocked)
    if told is None:
        assert result.warnings == []
    else:
        (warning,) = result.warnings
        assert told in warning
        assert "execution.block: node" in warning


def test_one_configuration_keeps_the_interval_over_its_cycles(tmp_path: Path) -> None:
    nodes: list[str | None] = ["n1", "n2", "n1"]
    (one,) = assembled([1.0, 1.1, 1.2], nodes, tmp_path, blocked=True, n=1).configurations
    (same,) = assembled([1.0, 1.1, 1.2], nodes, tmp_path, blocked=False, n=1).configurations
    assert one.energy_per_output_token_j == same.energy_per_output_token_j
