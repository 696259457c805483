"""How long the rest of a study will take, from what has run so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.config.execution import ExecutionConfig
from llem_core.study.plan import PlannedRun, gap_after


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
    """

    def __init__(self, runs: Sequence[PlannedRun], execution: ExecutionConfig) -> None:
        self._runs = runs
        self._seen: dict[str, _Seen] = {}
        for run in runs:
            self._seen.setdefault(run.config_hash, _Seen()).left += 1
        lengths = [gap_after(runs, i, execution) for i in range(len(runs))]
        self._gaps_s = [0.0 if gap is None else gap.seconds for gap in lengths]
        self._gaps_left_s = sum(self._gaps_s)
        # Over configurations that have completed: time of their runs still to do, sum of their
        # means, their number; and the runs of all others.
        self._known_s, self._means_s, self._n_known = 0.0, 0.0, 0
        self._unknown = len(runs)

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
        if index + 1 == len(self._runs):
            return 0.0
        if not self._n_known:
            return None
        others_s = self._means_s / self._n_known
        return max(0.0, self._known_s + self._unknown * others_s + self._gaps_left_s)

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
