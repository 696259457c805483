"""What happens during a run, as typed values that listeners and plugins receive.

An event says what happened; it carries no way to change it. Nothing is emitted while a
measured window is open. Events are plain frozen dataclasses of JSON types, so that they
cross a process boundary unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ExperimentState(StrEnum):
    """Where an experiment stands; see ``llem_core.measure.state.StateManager``."""

    INITIALISING = "initialising"
    MEASURING = "measuring"
    DONE = "done"
    FAILED = "failed"


class Phase(StrEnum):
    """The steps of one experiment, in the order in which the harness takes them."""

    ENVIRONMENT = "environment"
    PREFLIGHT = "preflight"
    BASELINE = "baseline"
    LOAD = "load"
    PREPARE = "prepare"
    WARMUP = "warmup"
    LOADED_BASELINE = "loaded_baseline"
    MEASURE = "measure"
    PHASE_PASSES = "phase_passes"
    UNLOAD = "unload"
    ASSEMBLE = "assemble"


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events.

    Attributes:
        config_hash: ``measurement_config_hash`` of the experiment that it is about; the
            ``study_design_hash`` for an event about a study.
    """

    config_hash: str


@dataclass(frozen=True, slots=True)
class ExperimentStarted(Event):
    """An experiment begins; nothing has been loaded."""

    model: str
    backend: str
    n_prompts: int


@dataclass(frozen=True, slots=True)
class PhaseChanged(Event):
    """The experiment enters a step. ``elapsed_s`` counts from its start."""

    state: ExperimentState
    phase: Phase
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class PhaseProgress(Event):
    """How far a long step has come; never emitted inside a measured window.

    Attributes:
        phase: the step.
        done: what is done, in ``unit``.
        total: what the step takes at the most, in ``unit``.
        unit: ``s`` for waits, ``prompts`` for warm-up.
    """

    phase: Phase
    done: float
    total: float
    unit: str


@dataclass(frozen=True, slots=True)
class ExperimentFinished(Event):
    """An experiment ended with a result."""

    elapsed_s: float
    energy_per_output_token_j: float | None
    output_tokens_per_second: float | None


@dataclass(frozen=True, slots=True)
class ExperimentFailed(Event):
    """An experiment ended without a result."""

    phase: Phase | None
    error_type: str
    message: str


class Listener(Protocol):
    """Anything that is told of events: a progress display, a log, a queue."""

    def __call__(self, event: Event, /) -> None:
        """Take note of one event; must return quickly and must not raise."""
