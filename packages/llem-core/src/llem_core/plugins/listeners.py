"""Hands what happens to the plugins' hooks."""

from __future__ import annotations

from llem_core.events import (
    Event,
    ExperimentFailed,
    ExperimentFinished,
    ExperimentStarted,
    Listener,
    PhaseChanged,
    PluginFailed,
    StudyFailed,
    StudyFinished,
    StudyStarted,
)
from llem_core.plugins.manager import plugins

_HOOKS = {
    ExperimentStarted: "llem_experiment_started",
    PhaseChanged: "llem_experiment_phase_changed",
    ExperimentFinished: "llem_experiment_finished",
    ExperimentFailed: "llem_experiment_failed",
    StudyStarted: "llem_study_started",
    StudyFinished: "llem_study_finished",
    StudyFailed: "llem_study_failed",
}


def tell_plugins_and(listener: Listener | None) -> Listener:
    """A listener that hands every event to the plugins' hooks first, then to ``listener``.

    ``listener`` is also told of plugins that failed at it.
    """

    def tell(event: Event) -> None:
        hook = _HOOKS.get(type(event))
        failed = [] if hook is None else plugins().tell(hook, event)
        if listener is None:
            return
        for problem in failed:
            listener(PluginFailed(event.config_hash, problem.named, problem.reason))
        listener(event)

    return tell
