"""What happens during a run, as typed values that listeners and plugins receive.

An event says what happened; it carries no way to change it. Nothing is emitted while a
measured window is open. Events are plain frozen dataclasses of JSON types, so that they
cross a process boundary unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol


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
    RAMP = "ramp"
    MEASURE = "measure"
    DRAIN = "drain"
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


@dataclass(frozen=True, slots=True)
class PluginFailed(Event):
    """A plugin failed when it was told of an event; what is measured is not concerned.

    Told once a process for each plugin and hook, which for a study is once an experiment.

    Attributes:
        plugin: its name, distribution and version.
        reason: what it failed with, and where.
    """

    plugin: str
    reason: str


RunStatus = Literal["pending", "running", "completed", "failed", "skipped", "interrupted"]
"""Where one run of a study stands."""


@dataclass(frozen=True, slots=True)
class StudyStarted(Event):
    """A study begins or goes on.

    Attributes:
        name: the study's name.
        n_configurations: different configurations.
        n_cycles: repetitions of each.
        n_runs: runs planned in all.
        n_completed: runs that an earlier start has completed already.
        directory: the study's folder.
    """

    name: str
    n_configurations: int
    n_cycles: int
    n_runs: int
    n_completed: int
    directory: str


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """One run of a study begins; ``config_hash`` names its configuration.

    Attributes:
        position: its place in the study's order, from 1.
        n_runs: runs in all.
        cycle: which repetition, from 1.
        label: what varies.
        attempt: which try, from 1; more after a resumption.
    """

    position: int
    n_runs: int
    cycle: int
    label: str
    attempt: int


@dataclass(frozen=True, slots=True)
class RunMoved(Event):
    """A run of a study waits in a queue, for another reason than before, or has got its node.

    Told only by launchers that have a queue or several nodes.

    Attributes:
        position, n_runs, cycle, label: as in ``RunStarted``.
        run_id: what its launcher knows it by, such as a job's number.
        node: where it runs; ``None`` while it waits.
        waits_for: why it waits, in the queue's own words.
    """

    position: int
    n_runs: int
    cycle: int
    label: str
    run_id: str
    node: str | None
    waits_for: str | None


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """One run of a study ended, in whatever way.

    Attributes:
        position, n_runs, cycle, label: as in ``RunStarted``.
        status: how it ended.
        elapsed_s: how long it took.
        remaining_s: estimate for the rest of the study, gaps included; ``None`` where unknown.
        energy_per_output_token_j: its result, if it has one.
        energy_estimated: whether that is an estimate.
        output_tokens_per_second: its speed, if it has a result.
        error: why it has no result.
    """

    position: int
    n_runs: int
    cycle: int
    label: str
    status: RunStatus
    elapsed_s: float
    remaining_s: float | None
    energy_per_output_token_j: float | None
    energy_estimated: bool
    output_tokens_per_second: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class RunRetried(Event):
    """A run failed for a reason that may not be there next time, and will be tried again.

    Attributes:
        position, n_runs, cycle, label: as in ``RunStarted``.
        attempt: the try that failed, from 1.
        node: where it was, if known.
        error: why it failed: type and message.
    """

    position: int
    n_runs: int
    cycle: int
    label: str
    attempt: int
    node: str | None
    error: str


@dataclass(frozen=True, slots=True)
class GapProgress(Event):
    """A pause between two runs goes on; emitted about once a second.

    Attributes:
        kind: ``config`` between experiments, ``cycle`` between cycles.
        left_s: what is left of it; 0 at its end.
        total_s: its length.
    """

    kind: Literal["config", "cycle"]
    left_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class StudyFinished(Event):
    """A study ended with its result written; ``status`` tells whether all runs completed."""

    status: Literal["completed", "failed"]
    n_completed: int
    n_failed: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class StudyFailed(Event):
    """A study ended before all of its runs were tried."""

    error_type: str
    message: str


class Listener(Protocol):
    """Anything that is told of events: a progress display, a log, a queue."""

    def __call__(self, event: Event, /) -> None:
        """Take note of one event; must return quickly and must not raise."""
