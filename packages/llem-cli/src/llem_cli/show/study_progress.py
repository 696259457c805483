"""Progress of a study: a line for each run that ended, and a live line with a bar below them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from llem_core.events import (
    Event,
    ExperimentStarted,
    GapProgress,
    Phase,
    PhaseChanged,
    PhaseProgress,
    PluginFailed,
    RunEnded,
    RunMoved,
    RunRetried,
    RunStarted,
    StudyFailed,
    StudyStarted,
)
from llem_core.results.views.block import rate
from llem_core.results.views.study import runs_of
from llem_core.units import format_duration, format_si

from llem_cli.show.experiment_progress import DOING, failed_plugin, share
from llem_cli.show.live import LiveLine, OnLiveLine, can_rewrite, columns, displayed, one_line
from llem_cli.show.output import relative
from llem_cli.signals import Interruption

_BAR_COLUMNS = 10
_MINUTE_S = 60
_AFTER_PAUSE = {"config": "next experiment", "cycle": "next cycle"}


class StudyProgress(OnLiveLine):
    """A listener that shows where the study stands.

    On a terminal: a line for each run that ended, and below them the live line. Elsewhere, the
    lines alone. Events come between measured windows and never within one.

    Args:
        quiet: show nothing at all; failures are still kept.
        verbose: leave a line for each step of each run, too.
        interruption: is looked at with every event, lest a swallowed Ctrl+C is lost.
        line: what the live line is written with; the terminal's, if it has one.
        now: the time of day.

    Attributes:
        directory: the study's folder; ``None`` before it has started.
        n_completed: runs with a result, those of an earlier start included.
        n_runs: runs in all.
        n_left: runs that go on after the study was interrupted.
        failures: the runs of this start that have no result.
    """

    def __init__(
        self,
        quiet: bool,
        verbose: bool,
        interruption: Interruption,
        line: LiveLine | None = None,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(line or LiveLine(can_rewrite() and not quiet))
        self._quiet = quiet
        self._verbose = verbose
        self._interruption = interruption
        self._now = now
        self._ended = 0
        self._run: RunStarted | None = None
        self._n_prompts = 0
        self._ends_at: datetime | None = None
        self._failed_plugins: set[str] = set()
        self._waiting: set[int] = set()
        self.directory: str | None = None
        self.n_completed = 0
        self.n_runs = self.n_left = 0
        self.failures: list[RunEnded] = []

    def __call__(self, event: Event, /) -> None:
        """Show one event.

        Raises:
            KeyboardInterrupt: Ctrl+C was pressed, and a library swallowed it.
        """
        if not isinstance(event, RunEnded | RunRetried | StudyFailed):
            self._interruption.raise_if_any()
        if isinstance(event, StudyStarted):
            self._study_started(event)
        elif isinstance(event, RunStarted):
            self._run_started(event)
        elif isinstance(event, RunMoved):
            self._run_moved(event)
        elif isinstance(event, RunRetried):
            self._run_retried(event)
        elif isinstance(event, RunEnded):
            self._run_ended(event)
        elif isinstance(event, GapProgress):
            self._gap(event)
        elif isinstance(event, PluginFailed):
            self._plugin_failed(failed_plugin(event))
        else:
            self._within_run(event)

    def _study_started(self, event: StudyStarted) -> None:
        self.directory = event.directory
        self.n_runs = event.n_runs
        self.n_completed = self._ended = event.n_completed
        before = f", {event.n_completed} of them completed before" if event.n_completed else ""
        self._leave(
            f"Study {event.name}: {runs_of(event.n_configurations, event.n_cycles)}{before}; in "
            f"{relative(Path(event.directory))}"
        )

    def _run_started(self, event: RunStarted) -> None:
        self._run = event
        again = f", attempt {event.attempt}" if event.attempt > 1 else ""
        if self._verbose:
            place = _place(event.position, event.n_runs)
            self._leave(f"{place} cycle {event.cycle}{again}: {event.label}")
        self._show(f"starting{again}")

    def _run_moved(self, event: RunMoved) -> None:
        """A line when it begins to wait and when it has its node; every reason only if verbose."""
        facts = f"{_place(event.position, event.n_runs)} cycle {event.cycle}"
        if event.node is not None:
            self._waiting.discard(event.position)
            self._leave(f"{facts}  on {event.node} ({event.run_id})  {one_line(event.label)}")
        elif event.waits_for is not None:
            if self._verbose or event.position not in self._waiting:
                waits = f"{facts}  queued ({event.run_id}): {one_line(event.waits_for)}"
                self._leave(f"{waits}  {one_line(event.label)}")
            self._waiting.add(event.position)
            self._show(f"{event.run_id} is queued: {event.waits_for}")

    def _run_retried(self, event: RunRetried) -> None:
        place = f"{_place(event.position, event.n_runs)} cycle {event.cycle}"
        told = f"{place}  attempt {event.attempt} failed, and is tried again"
        for line in self._fitted(told, event.label, event.error):
            self._leave(line)
        self._show("")

    def clear(self) -> None:
        """Take the live line away, so that something else can be written."""
        self._line.show("")

    def _run_ended(self, event: RunEnded) -> None:
        self._ended += 1
        if event.status == "completed":
            self.n_completed += 1
        else:
            self.failures.append(event)
        self._expect(event.remaining_s)
        if not self._quiet:
            for line in self._fitted(run_line(event), event.label, event.error):
                self._leave(line)
        self._run = None
        self._show("")

    def _fitted(self, facts: str, label: str, error: str | None) -> list[str]:
        """One line in a log; on a terminal that is too narrow, what varies goes below."""
        failure = "" if error is None else f": {one_line(error)}"
        label = f"{one_line(label)}{failure}"
        if not self._line.shown or displayed(facts) + 2 + displayed(label) < columns():
            return [f"{facts}  {label}"]
        return [facts.rstrip(), f"    {label}"]

    def _plugin_failed(self, told: str) -> None:
        """Every experiment's process tells it anew; it is shown once."""
        if told not in self._failed_plugins:
            self._failed_plugins.add(told)
            self._leave(told)

    def _gap(self, event: GapProgress) -> None:
        if event.left_s <= 0:
            self._show("")
        else:
            left_s = max(1, round(event.left_s))
            left = f"{left_s} s" if left_s < _MINUTE_S else format_duration(left_s)
            self._show(f"pause, {_AFTER_PAUSE[event.kind]} in {left}")

    def _within_run(self, event: Event) -> None:
        if isinstance(event, ExperimentStarted):
            self._n_prompts = event.n_prompts
        elif isinstance(event, PhaseChanged):
            if self._verbose:
                self._leave(f"{event.elapsed_s:12.2f} s  {self._doing(event.phase)}")
            since = f" since {self._now():%H:%M:%S}" if event.phase is Phase.MEASURE else ""
            self._show(f"{self._doing(event.phase)}{since}")
        elif isinstance(event, PhaseProgress):
            self._show(f"{self._doing(event.phase)}, {share(event)}")

    def _doing(self, phase: Phase) -> str:
        doing = DOING.get(phase, phase.value)
        return f"{doing} {self._n_prompts} prompts" if phase is Phase.MEASURE else doing

    def _expect(self, remaining_s: float | None) -> None:
        known = remaining_s is not None and remaining_s > 0
        self._ends_at = self._now() + timedelta(seconds=remaining_s or 0) if known else None

    def _leave(self, line: str) -> None:
        if not self._quiet:
            self._line.leave(line)

    def _show(self, doing: str) -> None:
        if not self._line.shown:
            return
        parts = [f"{bar(self._ended, self.n_runs)} {self._ended}/{self.n_runs}"]
        if self._ends_at is not None:
            parts.append(f"ends about {_time_of_day(self._ends_at, self._now())}")
        if self._run is not None and doing:
            parts.append(f"cycle {self._run.cycle}: {doing}")
            parts.append(self._run.label)
        elif doing:
            parts.append(doing)
        self._line.show(" | ".join(parts))


def run_line(event: RunEnded) -> str:
    """What is told of a run that ended, in columns; what varies goes after it."""
    if event.energy_per_output_token_j is not None:
        word = " (estimated)" if event.energy_estimated else ""
        figure = f"{format_si(event.energy_per_output_token_j, 'J')}/token{word}"
    elif event.output_tokens_per_second is not None:
        figure = f"{rate(event.output_tokens_per_second)} tokens/s"
    else:
        figure = "no result"
    left = "" if not event.remaining_s else f"{format_duration(event.remaining_s)} left"
    took = f"took {format_duration(event.elapsed_s)}"
    place = _place(event.position, event.n_runs)
    return f"{place} cycle {event.cycle}  {event.status:<9}  {figure:<13}  {took:<15}  {left:<15}"


def bar(done: int, total: int) -> str:
    """A bar of ASCII, full only when all is done."""
    filled = _BAR_COLUMNS * done // max(1, total)
    return f"[{'#' * filled}{'-' * (_BAR_COLUMNS - filled)}]"


def _place(position: int, n_runs: int) -> str:
    return f"[{position:>{len(str(n_runs))}}/{n_runs}]"


def _time_of_day(moment: datetime, now: datetime) -> str:
    return f"{moment:%H:%M}" if moment.date() == now.date() else f"{moment:%a %H:%M}"
