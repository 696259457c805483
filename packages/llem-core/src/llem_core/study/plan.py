"""Puts experiments and cycles in order: the only place where either is applied."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from llem_core.config.execution import ExecutionConfig
from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.sink import FinishedRun
from llem_core.events import RunStatus


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One experiment in one cycle.

    ``config_hash`` and ``cycle`` name a run for good; its position changes when cycles are
    added later.

    Attributes:
        position: its place in the study's order, from 1.
        config: the experiment.
        config_hash: its ``measurement_config_hash``.
        cycle: which repetition, from 1.
    """

    position: int
    config: ExperimentConfig
    config_hash: str
    cycle: int

    @property
    def key(self) -> tuple[str, int]:
        """What names the run for good: hash and cycle."""
        return self.config_hash, self.cycle

    def finished(
        self,
        label: str,
        status: RunStatus,
        result_file: Path | None = None,
        error: str | None = None,
        node: str | None = None,
    ) -> FinishedRun:
        """The run as sinks receive it; see ``FinishedRun``."""
        named = (self.position, self.config_hash, self.cycle, label)
        return FinishedRun(*named, status, result_file, error, node)


@dataclass(frozen=True, slots=True)
class Gap:
    """A pause after a run.

    Attributes:
        kind: ``config`` between two experiments, ``cycle`` between two cycles.
        seconds: its length (s), above 0.
    """

    kind: Literal["config", "cycle"]
    seconds: float


def apply_cycles(
    experiments: Sequence[ExperimentConfig],
    execution: ExecutionConfig,
    study_design_hash: str,
) -> tuple[PlannedRun, ...]:
    """All runs of a study in their order: configurations × cycles of them.

    ``sequential`` has all cycles of an experiment in succession; ``interleaved`` goes through
    all experiments once a cycle, in the order of the file; ``shuffled`` does so in another
    order each cycle. Experiments that share an engine follow each other within a round, the first
    of them at its own place. That order follows from the design alone, so that a resumed study, on
    whatever machine and Python, has the same one; more cycles leave the earlier ones as they
    were.

    Args:
        experiments: the configurations, each once.
        execution: the number of cycles and their order.
        study_design_hash: seeds ``shuffled``.
    """
    named = [(config.measurement_config_hash, config) for config in experiments]
    cycles = range(1, execution.n_cycles + 1)
    if execution.cycle_order == "sequential":
        order = [(name, config, cycle) for name, config in named for cycle in cycles]
    else:
        rounds = [[(name, config, cycle) for name, config in named] for cycle in cycles]
        if execution.cycle_order == "shuffled":
            for members in rounds:
                # A keyed digest is a uniform draw, and unlike random.shuffle's algorithm it
                # cannot change with the Python version.
                members.sort(key=lambda run: _draw(study_design_hash, run[2], run[0]))
        order = list(chain.from_iterable(map(_with_shared_engines, rounds)))
    return tuple(
        PlannedRun(position, config, name, cycle)
        for position, (name, config, cycle) in enumerate(order, start=1)
    )


def _with_shared_engines(
    members: Sequence[tuple[str, ExperimentConfig, int]],
) -> list[tuple[str, ExperimentConfig, int]]:
    """One round, in which experiments that share an engine follow the first of them."""
    places: dict[str, int] = {}
    for place, (name, config, _) in enumerate(members):
        places.setdefault(config.section.shared_engine() or name, place)
    return sorted(members, key=lambda run: places[run[1].section.shared_engine() or run[0]])


def gap_after(runs: Sequence[PlannedRun], index: int, execution: ExecutionConfig) -> Gap | None:
    """The pause after ``runs[index]``; ``None`` after the last run and for a length of 0 s.

    Where the next run has a higher cycle the pause is ``cycle_gap_seconds``, everywhere else
    ``config_gap_seconds``. So ``interleaved`` and ``shuffled`` have a cycle gap after each
    round, and ``sequential`` between the repetitions of one experiment, with a config gap
    where the next experiment begins.

    Args:
        runs: the runs that are really taken, in order: after a resumption, those still to do.
        index: a position in ``runs``, from 0.
        execution: has the lengths.
    """
    if index + 1 >= len(runs):
        return None
    return gap_between(runs[index], runs[index + 1], execution)


def gap_between(before: PlannedRun, after: PlannedRun, execution: ExecutionConfig) -> Gap | None:
    """The pause between two runs that follow each other; ``None`` for a length of 0 s."""
    rises = after.cycle > before.cycle
    seconds = execution.cycle_gap_seconds if rises else execution.config_gap_seconds
    return Gap("cycle" if rises else "config", seconds) if seconds > 0 else None


def _draw(seed: str, cycle: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{cycle}:{name}".encode("ascii")).digest()
