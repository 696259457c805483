"""A line of plain text that says how far a run has come, for notebooks; it needs no widget."""

from __future__ import annotations

import sys
from typing import TextIO

from llem_core.events import (
    Event,
    ExperimentFailed,
    ExperimentFinished,
    ExperimentStarted,
    GapProgress,
    Listener,
    Phase,
    PhaseChanged,
    PhaseProgress,
    RunEnded,
    RunStarted,
    StudyFailed,
    StudyFinished,
    StudyStarted,
)
from llem_core.text import displayable, without_password
from llem_core.units import format_duration

_MOST = 100
_WORDS = {
    Phase.BASELINE: "idle power",
    Phase.LOAD: "loading",
    Phase.WARMUP: "warm-up",
    Phase.LOADED_BASELINE: "idle power, model loaded",
    Phase.MEASURE: "measuring",
}


def notebook_progress(out: TextIO | None = None) -> Listener | None:
    """A listener that writes one line over and over, where IPython runs; else ``None``.

    Args:
        out: where to; stdout if not given.
    """
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        return None
    return ProgressLine(out or sys.stdout)


class ProgressLine:
    """Writes one line, and another over it, when something happened; never by a timer.

    Args:
        out: where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._run = ""
        self._of_study = False

    def __call__(self, event: Event, /) -> None:
        """Say what happened; events that nobody waits for are passed over."""
        text = self._text(event)
        if text is None:
            return
        ended = isinstance(event, StudyFinished | StudyFailed) or (
            not self._of_study and isinstance(event, ExperimentFinished | ExperimentFailed)
        )
        line = displayable(" ".join(without_password(text).split()))
        self._out.write(f"\r{line[:_MOST]:<{_MOST}}" + ("\n" if ended else ""))
        self._out.flush()

    def _text(self, event: Event) -> str | None:
        text: str | None = None
        match event:
            case StudyStarted():
                self._of_study = True
                text = f"study {event.name}: {event.n_completed} of {event.n_runs} runs done"
            case RunStarted():
                place = f"[{event.position}/{event.n_runs}] cycle {event.cycle}"
                self._run = f"{place}, {event.label}: "
                text = f"{self._run}starting"
            case RunEnded():
                left = "" if event.remaining_s is None else format_duration(event.remaining_s)
                text = f"{self._run}{event.status}{left and f'; about {left} left'}"
            case GapProgress():
                text = f"pause: {event.left_s:.0f} s left"
            case StudyFinished():
                took = format_duration(event.elapsed_s)
                text = f"{event.n_completed} completed, {event.n_failed} failed, in {took}"
            case StudyFailed():
                text = f"ended: {event.error_type}"
            case _:
                text = self._of_one(event)
        return text

    def _of_one(self, event: Event) -> str | None:
        text: str | None = None
        match event:
            case ExperimentStarted():
                self._run = self._run or f"{event.model}, {event.backend}: "
                text = "starting"
            case PhaseChanged():
                text = _WORDS.get(event.phase, event.phase.value)
            case PhaseProgress():
                word = _WORDS.get(event.phase, event.phase.value)
                text = f"{word} {event.done:.0f} of {event.total:.0f} {event.unit}"
            case ExperimentFinished():
                text = f"done in {format_duration(event.elapsed_s)}"
            case ExperimentFailed():
                text = f"failed: {event.error_type}"
        return None if text is None else f"{self._run}{text}"
