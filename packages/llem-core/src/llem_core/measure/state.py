"""The state of one experiment, and the events that report it."""

from __future__ import annotations

import time
from collections.abc import Callable

from llem_core.errors import ExperimentError
from llem_core.events import (
    Event,
    ExperimentFailed,
    ExperimentState,
    Listener,
    Phase,
    PhaseChanged,
    PhaseProgress,
)

TRANSITIONS: dict[ExperimentState, frozenset[ExperimentState]] = {
    ExperimentState.INITIALISING: frozenset({ExperimentState.MEASURING, ExperimentState.FAILED}),
    ExperimentState.MEASURING: frozenset({ExperimentState.DONE, ExperimentState.FAILED}),
    ExperimentState.DONE: frozenset(),
    ExperimentState.FAILED: frozenset(),
}

_MEASURED = frozenset(
    {Phase.MEASURE, Phase.DRAIN, Phase.PHASE_PASSES, Phase.UNLOAD, Phase.ASSEMBLE}
)


class StateManager:
    """Where one experiment stands: initialising → measuring → done, or failed from either.

    Phases are the steps within a state. Every change is told to the listener at once, so none
    may be made while a measured window is open.

    Args:
        config_hash: names the experiment in its events.
        listener: is told of every change.

    Attributes:
        state: the current state.
        phase: the current step, ``None`` before the first.
        history: monotonic time at which each step began, in order.
    """

    def __init__(self, config_hash: str, listener: Listener) -> None:
        self.config_hash = config_hash
        self.state = ExperimentState.INITIALISING
        self.phase: Phase | None = None
        self.started_s = time.monotonic()
        self.history: list[tuple[float, Phase]] = []
        self._listener = listener

    def enter(self, phase: Phase) -> None:
        """Begin a step.

        Raises:
            ExperimentError: the experiment has ended.
        """
        if self.state in {ExperimentState.DONE, ExperimentState.FAILED}:
            raise ExperimentError(f"the experiment is {self.state} and cannot enter {phase}")
        if phase in _MEASURED and self.state is ExperimentState.INITIALISING:
            self._move(ExperimentState.MEASURING)
        self.phase = phase
        now_s = time.monotonic()
        self.history.append((now_s, phase))
        self.tell(PhaseChanged(self.config_hash, self.state, phase, now_s - self.started_s))

    def progress(self, done: float, total: float, unit: str) -> None:
        """Tell how far the current step has come."""
        if self.phase is not None:
            self.tell(PhaseProgress(self.config_hash, self.phase, done, total, unit))

    def finish(self) -> None:
        """End well.

        Raises:
            ExperimentError: nothing was measured, or the experiment has ended already.
        """
        self._move(ExperimentState.DONE)

    def fail(self, error: BaseException) -> None:
        """End without a result; harmless if the experiment has failed already."""
        if self.state is not ExperimentState.FAILED:
            self._move(ExperimentState.FAILED)
            name = type(error).__name__
            self.tell(ExperimentFailed(self.config_hash, self.phase, name, str(error)))

    def tell(self, event: Event) -> None:
        """Hand an event to the listener."""
        self._listener(event)

    def tell_through(self, wrap: Callable[[Listener], Listener]) -> None:
        """Hand further events to the listener by way of ``wrap``."""
        self._listener = wrap(self._listener)

    def _move(self, state: ExperimentState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise ExperimentError(f"an experiment cannot go from {self.state} to {state}")
        self.state = state
