"""How long a study takes: its pauses, what is left of it, and what it takes at the least."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llem_core.config.execution import ExecutionConfig
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.study import StudyConfig
from llem_core.events import GapProgress, Listener
from llem_core.measure.energy.select import candidates
from llem_core.study.plan import Gap, PlannedRun, apply_cycles, gap_after

_TICK_S = 1.0


def pause(
    gap: Gap,
    design_hash: str,
    listener: Listener,
    *,
    spent_s: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait for the length of a gap, and tell what is left about once a second.

    Args:
        gap: the pause.
        design_hash: names the study in its events.
        listener: is told.
        spent_s: what has passed of it already (s).
        sleep: waits for so many seconds.
        clock: monotonic time (s).
    """
    end_s = clock() + gap.seconds - spent_s
    while (left_s := end_s - clock()) > 0:
        listener(GapProgress(design_hash, gap.kind, left_s, gap.seconds))
        # To the next whole second, so that the countdown does not stutter.
        sleep(left_s % _TICK_S or min(left_s, _TICK_S))
    listener(GapProgress(design_hash, gap.kind, 0.0, gap.seconds))


@dataclass(slots=True)
class _Seen:
    left: int = 0
    completed: int = 0
    total_s: float = 0.0

    @property
    def mean_s(self) -> float:
        return self.total_s / self.completed if self.completed else 0.0


class Remaining:
    """Learns from the runs that have completed; each costs the same, however many there are.

    Args:
        runs: the runs to take, in order.
        execution: has the gaps.
        slots: runs that go on at the same time.
    """

    def __init__(
        self, runs: Sequence[PlannedRun], execution: ExecutionConfig, slots: int = 1
    ) -> None:
        self._runs = runs
        self._slots = slots
        self._seen: dict[str, _Seen] = {}
        for run in runs:
            self._seen.setdefault(run.config_hash, _Seen()).left += 1
        lengths = [gap_after(runs, i, execution) for i in range(len(runs))]
        self._gaps_s = [0.0 if gap is None else gap.seconds for gap in lengths]
        self._gaps_left_s = sum(self._gaps_s)
        # Over configurations that have completed: time of their runs still to do, sum of their
        # means, their number; and the runs of all others.
        self._known_s, self._means_s, self._n_known = 0.0, 0.0, 0
        self._unknown = self._n_left = len(runs)

    def ended(self, index: int, elapsed_s: float, *, completed: bool) -> float | None:
        """Note a run that has ended, and estimate what is left.

        A configuration that has completed before is expected to take its own mean, any other
        the mean over those.

        Args:
            index: which of the runs, from 0.
            elapsed_s: how long it took.
            completed: whether it has a result; a failure says nothing about the others.

        Returns:
            Seconds, gaps included; ``None`` while no run has completed.
        """
        if index:
            self._gaps_left_s -= self._gaps_s[index - 1]
        seen = self._seen[self._runs[index].config_hash]
        self._forget(seen)
        seen.left -= 1
        if completed:
            seen.completed += 1
            seen.total_s += elapsed_s
        self._remember(seen)
        self._n_left -= 1
        if not self._n_left:
            return 0.0
        if not self._n_known:
            return None
        others_s = self._means_s / self._n_known
        left_s = self._known_s + self._unknown * others_s + self._gaps_left_s
        return max(0.0, left_s) / self._slots

    def _forget(self, seen: _Seen) -> None:
        if seen.completed:
            self._known_s -= seen.left * seen.mean_s
            self._means_s -= seen.mean_s
            self._n_known -= 1
        else:
            self._unknown -= seen.left

    def _remember(self, seen: _Seen) -> None:
        if seen.completed:
            self._known_s += seen.left * seen.mean_s
            self._means_s += seen.mean_s
            self._n_known += 1
        else:
            self._unknown += seen.left


COUNTED = "gaps, idle-power baselines and thermal floors"
NOT_COUNTED = "loading, warm-up and measuring, which are known only once something has run"


@dataclass(frozen=True, slots=True)
class StudyEstimate:
    """The waits of a study, which is the least that it takes.

    Attributes:
        n_runs: configurations × cycles.
        gaps_s: pauses between runs (s).
        baselines_s: both idle-power baselines of every run (s).
        thermal_floors_s: waits between warm-up and measurement (s).
        at_most_s: all gaps, and every run as long as its timeout allows (s).
        counted, not_counted: what is and what is not in ``at_least_s``, for people.
    """

    n_runs: int
    gaps_s: float
    baselines_s: float
    thermal_floors_s: float
    at_most_s: float
    counted: str = COUNTED
    not_counted: str = NOT_COUNTED

    @property
    def at_least_s(self) -> float:
        """The sum of the waits (s)."""
        return self.gaps_s + self.baselines_s + self.thermal_floors_s


def estimate_seconds(
    study: StudyConfig, device_kinds: Mapping[str, str] | None = None
) -> StudyEstimate:
    """Add up the waits of a study.

    Args:
        study: the study.
        device_kinds: ``cpu`` or ``gpu`` by configuration hash, where its backend has told; a
            baseline counts only where a sampler would see that device.
    """
    execution = study.execution
    runs = apply_cycles(study.experiments, execution, study.study_design_hash)
    gaps = (gap_after(runs, index, execution) for index in range(len(runs)))
    gaps_s = sum(gap.seconds for gap in gaps if gap is not None)
    meters: dict[tuple[str | None, str | None], bool] = {}
    baselines_s = floors_s = 0.0
    for config in study.experiments:
        kind = (device_kinds or {}).get(config.measurement_config_hash)
        asked = (str(config.energy.sampler), kind)
        if asked not in meters:
            meters[asked] = _has_meter(config, kind)
        if config.baseline.enabled and meters[asked]:
            baselines_s += 2 * config.baseline.duration_seconds
        floors_s += config.warmup.thermal_floor_seconds
    return StudyEstimate(
        n_runs=len(runs),
        gaps_s=gaps_s,
        baselines_s=baselines_s * execution.n_cycles,
        thermal_floors_s=floors_s * execution.n_cycles,
        at_most_s=gaps_s + len(runs) * execution.experiment_timeout_seconds,
    )


def _has_meter(config: ExperimentConfig, device_kind: str | None) -> bool:
    if config.energy.sampler is None:
        return False
    kinds = ("cpu", "gpu") if device_kind is None else (device_kind,)
    return any(reason is None for kind in kinds for _, reason in candidates(config, kind))
