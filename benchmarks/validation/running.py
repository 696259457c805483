"""Runs the experiments of a validation, each sized by a short pilot, within a time limit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llenergymeasure import ExperimentResult, run_experiment

MOST_BATCHES = 2000
_MARGIN = 1.2
"""The pilot's batch may be slower than the window's, which would then be too short."""


class OutOfTime(Exception):  # noqa: N818 - no error: what is left is not run
    """There is not enough time left for the next experiment."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often everything is done.

    Attributes:
        model: what is run.
        described: what that is, for the report.
        fields: of every experiment, beside those of its check.
        batch_field: section whose ``batch_size`` is set.
        batches: batch sizes, ascending.
        long_window_s: window of counter against integral.
        window_s: window of all others.
        repeats: how often one configuration is repeated.
        repeat_batch: its batch size, and that of the phases.
        output_tokens: of each request.
        phase_outputs: output lengths whose phases are measured, ascending.
        limit_s: time for everything.
    """

    model: str
    described: str
    fields: dict[str, Any]
    batch_field: str = "pytorch"
    batches: tuple[int, ...] = (1, 8, 32, 64)
    long_window_s: float = 60.0
    window_s: float = 12.0
    repeats: int = 10
    repeat_batch: int = 8
    output_tokens: int = 128
    phase_outputs: tuple[int, ...] = (16, 64, 256)
    limit_s: float = 1500.0

    @property
    def idle_s(self) -> float:
        """Both baselines of an experiment (s)."""
        return 2.0 * float(self.fields.get("baseline", {}).get("duration_seconds", 30.0))


@dataclass(slots=True)
class Bench:
    """Runs experiments of a plan and keeps their results.

    Attributes:
        plan: what to run.
        folder: where each result is written.
        say: is told what is being run.
        clock: monotonic seconds.
        results: name to result, in order.
    """

    plan: Plan
    folder: Path
    say: Callable[[str], None] = print
    clock: Callable[[], float] = time.monotonic
    results: dict[str, ExperimentResult] = field(default_factory=dict)
    _started_s: float = field(init=False)
    _pilots: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._started_s = self.clock()

    @property
    def left_s(self) -> float:
        """Time that is left (s)."""
        return self.plan.limit_s - (self.clock() - self._started_s)

    def run(
        self,
        name: str,
        *,
        batch: int,
        window_s: float,
        output_tokens: int | None = None,
        **fields: Any,
    ) -> ExperimentResult:
        """One experiment whose window lasts about ``window_s`` or longer.

        Raises:
            OutOfTime: it would not end in time.
        """
        tokens = output_tokens or self.plan.output_tokens
        batch_s, overhead_s = self.pilot(batch, tokens)
        # Baselines, waits for edges and phase passes come on top of what the pilot did.
        needed_s = 1.25 * (overhead_s + 2 * window_s + 2 * batch_s) + self.plan.idle_s
        if needed_s > self.left_s:
            raise OutOfTime(
                f"{name} needs about {needed_s:.0f} s and {max(self.left_s, 0):.0f} s are left"
            )
        count = min(MOST_BATCHES, max(2, math.ceil(_MARGIN * window_s / batch_s)))
        return self._measure(name, batch, tokens, n=count * batch, **fields)

    def pilot(self, batch: int, output_tokens: int) -> tuple[float, float]:
        """Time of one batch, and of all that an experiment does beside its window (s)."""
        known = self._pilots.get((batch, output_tokens))
        if known is not None:
            return known
        if self.left_s <= 0:
            raise OutOfTime(f"no time is left for a pilot at batch {batch}")
        started_s = self.clock()
        quiet = {"energy": {"sampler": None}, "baseline": {"enabled": False}}
        name = f"pilot-batch-{batch}-output-{output_tokens}"
        result = self._measure(name, batch, output_tokens, n=batch, **quiet)
        batch_s = result.duration_s
        self._pilots[batch, output_tokens] = batch_s, self.clock() - started_s - batch_s
        return self._pilots[batch, output_tokens]

    def _measure(self, name: str, batch: int, tokens: int, **fields: Any) -> ExperimentResult:
        self.say(f"{name} ({self.left_s / 60:.0f} min left)")
        settings: dict[str, Any] = {"model": self.plan.model, **self.plan.fields}
        section = {**settings.get(self.plan.batch_field, {}), "batch_size": batch}
        settings |= {self.plan.batch_field: section, "max_output_tokens": tokens, **fields}
        result = run_experiment(**settings, output_dir=self.folder)
        self.results[name] = result
        return result
