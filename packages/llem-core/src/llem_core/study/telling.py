"""The events of a study's runs, each with what names the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llem_core.config.study import StudyConfig
from llem_core.contracts.messages import LaunchFailure
from llem_core.events import (
    Event,
    Listener,
    RunEnded,
    RunMoved,
    RunRetried,
    RunStarted,
    StudyStarted,
)
from llem_core.study.active import ActiveRun
from llem_core.study.plan import PlannedRun
from llem_core.study.summary.figures import Figures

EventT = TypeVar("EventT", bound=Event)


class Telling:
    """Tells a listener of the runs of one study.

    Args:
        study: the study.
        n_runs: its runs in all.
        listener: is told.
    """

    def __init__(self, study: StudyConfig, n_runs: int, listener: Listener) -> None:
        self._study = study
        self._n_runs = n_runs
        self.listener = listener

    def study_started(self, n_completed: int, directory: str) -> None:
        """The study begins or goes on, with so many runs completed before."""
        study = self._study
        self.listener(
            StudyStarted(
                config_hash=study.study_design_hash,
                name=study.name,
                n_configurations=len(study.experiments),
                n_cycles=study.execution.n_cycles,
                n_runs=self._n_runs,
                n_completed=n_completed,
                directory=directory,
            )
        )

    def started(self, planned: PlannedRun, attempt: int) -> None:
        """A run begins."""
        self.listener(self._of(RunStarted, planned, attempt=attempt))

    def moved(self, active: ActiveRun) -> None:
        """A run waits or has got its node, where that has changed since the last call."""
        place = active.moved()
        if place is None:
            return
        node, waits_for = place
        told = {"run_id": active.run_id, "node": node, "waits_for": waits_for}
        self.listener(self._of(RunMoved, active.planned, **told))

    def retried(self, active: ActiveRun, attempt: int, error: str) -> None:
        """A run failed and will be tried again."""
        told = {"attempt": attempt, "node": active.node, "error": error}
        self.listener(self._of(RunRetried, active.planned, **told))

    def ended(
        self,
        planned: PlannedRun,
        ended: Figures | LaunchFailure,
        elapsed_s: float,
        remaining_s: float | None,
    ) -> None:
        """A run ended, with figures or without."""
        figures = ended if isinstance(ended, Figures) else None
        self.listener(
            self._of(
                RunEnded,
                planned,
                status="failed" if figures is None else "completed",
                elapsed_s=elapsed_s,
                remaining_s=remaining_s,
                energy_per_output_token_j=figures.energy_per_output_token_j if figures else None,
                energy_estimated=figures is not None and figures.energy_method == "estimated",
                output_tokens_per_second=figures.output_tokens_per_second if figures else None,
                error=None if isinstance(ended, Figures) else ended.text,
            )
        )

    def _of(self, kind: Callable[..., EventT], planned: PlannedRun, **told: Any) -> EventT:
        return kind(
            config_hash=planned.config_hash,
            position=planned.position,
            n_runs=self._n_runs,
            cycle=planned.cycle,
            label=self._study.label(planned.config_hash),
            **told,
        )
