"""Progress on a terminal: one line on stderr that is written over and goes away at the end."""

from __future__ import annotations

from llem_core.events import (
    Event,
    ExperimentFailed,
    ExperimentStarted,
    Phase,
    PhaseChanged,
    PhaseProgress,
    PluginFailed,
)

from llem_cli.show.live import LiveLine, OnLiveLine, can_rewrite
from llem_cli.signals import Interruption

DOING = {
    Phase.ENVIRONMENT: "looking at the machine",
    Phase.PREFLIGHT: "checking the experiment",
    Phase.BASELINE: "idle power before the model is loaded",
    Phase.LOAD: "loading the model",
    Phase.PREPARE: "preparing the prompts",
    Phase.WARMUP: "warming up",
    Phase.LOADED_BASELINE: "idle power with the model loaded",
    Phase.RAMP: "raising the load",
    Phase.MEASURE: "measuring",
    Phase.DRAIN: "waiting for the last requests",
    Phase.PHASE_PASSES: "measuring prefill apart",
    Phase.UNLOAD: "unloading the model",
    Phase.ASSEMBLE: "putting the result together",
}


class ExperimentProgress(OnLiveLine):
    """A listener that shows where the experiment stands.

    On a terminal the line follows every event; elsewhere there is none. With ``verbose``, each
    step leaves a line of its own, on a terminal or not. Events never come from within a
    measured window, so nothing is written there.

    Args:
        quiet: show nothing at all.
        verbose: leave a line for each step.
        interruption: is looked at with every event, lest a swallowed Ctrl+C is lost.
    """

    def __init__(self, quiet: bool, verbose: bool, interruption: Interruption) -> None:
        super().__init__(LiveLine(can_rewrite() and not quiet))
        self._quiet = quiet
        self._verbose = verbose
        self._interruption = interruption
        self._n_prompts = 0
        self._phase: Phase | None = None

    def __call__(self, event: Event, /) -> None:
        """Show one event.

        Raises:
            KeyboardInterrupt: Ctrl+C was pressed, and a library swallowed it.
        """
        if not isinstance(event, ExperimentFailed):
            self._interruption.raise_if_any()
        if isinstance(event, ExperimentStarted):
            self._n_prompts = event.n_prompts
            self._leave(f"{event.model} on {event.backend}, configuration {event.config_hash}")
        elif isinstance(event, PhaseChanged):
            self._phase = event.phase
            self._leave(f"{event.elapsed_s:8.2f} s  {self._doing(event.phase)}")
            self._line.show(f"{self._doing(event.phase)} …")
        elif isinstance(event, PhaseProgress):
            self._line.show(f"{self._doing(event.phase)}: {share(event)}")
        elif isinstance(event, PluginFailed) and not self._quiet:
            self._line.leave(failed_plugin(event))

    def _doing(self, phase: Phase) -> str:
        doing = DOING.get(phase, phase.value)
        return f"{doing} {self._n_prompts} prompts" if phase is Phase.MEASURE else doing

    def _leave(self, line: str) -> None:
        if self._verbose:
            self._line.leave(line)


def failed_plugin(event: PluginFailed) -> str:
    """The note on a plugin that failed when it was told of an event."""
    return f"Note: the plugin {event.plugin}: {event.reason}."


def share(event: PhaseProgress) -> str:
    """How far a step has come, for people."""
    if event.unit == "s":
        left_s = max(0.0, event.total - event.done)
        return f"{left_s:.0f} of {event.total:.0f} s left"
    return f"{event.done:g} of {event.total:g} {event.unit} at the most"
