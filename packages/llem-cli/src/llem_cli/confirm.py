"""Asks before a study that is larger than its cap."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Literal

import click
from llem_core.config.study import StudyConfig
from llem_core.errors import ConfigError
from llem_core.results.views.block import counted
from llem_core.results.views.study import runs_of
from llem_core.study.pace import StudyEstimate
from llem_core.units import format_duration

from llem_cli.show.output import note

if TYPE_CHECKING:
    from llem_core.study.take import OnInterrupt

    from llem_cli.show.study_progress import StudyProgress


def wall_time(estimate: StudyEstimate) -> str:
    """What is known of the wall time before anything has run."""
    return (
        f"at least {format_duration(estimate.at_least_s)} for {estimate.counted}, at most "
        f"{format_duration(estimate.at_most_s)} with every run at its timeout"
    )


def confirm(study: StudyConfig, n_left: int, estimate: StudyEstimate, *, yes: bool) -> bool:
    """Whether to go on; asks only where there are more runs than the cap, and nobody has said yes.

    Args:
        study: the study.
        n_left: runs still to do.
        estimate: the wall time of the whole study, as far as it is known.
        yes: whether the user has agreed beforehand.

    Raises:
        ConfigError: it would have to ask, and there is no terminal to ask on.
    """
    cap = study.execution.max_experiments
    if yes or n_left <= cap:
        return True
    size = runs_of(len(study.experiments), study.execution.n_cycles)
    told = (
        f"The study {study.name} has {counted(n_left, 'run')} to do ({size}), more than "
        f"the cap of {cap} (execution.max_experiments); estimated wall time: "
        f"{wall_time(estimate)}."
    )
    if not _can_ask():
        raise ConfigError(
            f"{told} There is no terminal to ask on: run the same with --yes, raise the cap, or "
            "look at it first with --dry-run."
        )
    note(told)
    try:
        agreed = click.confirm("Run it?", default=False, err=True)
    except click.Abort:  # the terminal went away, or Ctrl+D
        agreed = False
    if not agreed:
        note("Nothing was run.")
    return agreed


def on_interrupt(choice: str | None, progress: StudyProgress) -> OnInterrupt:
    """What becomes of jobs that would go on without this process, asked when it is interrupted.

    Args:
        choice: ``cancel`` or ``leave``; ``None`` to ask after Ctrl+C on a terminal, and to cancel
            where nobody can be asked.
        progress: the display, which is told what was chosen.
    """

    def decide(n_runs: int, signal_number: int | None) -> Literal["cancel", "leave"]:
        leave = choice == "leave"
        if choice is None and signal_number == signal.SIGINT and _can_ask():
            progress.clear()
            were = "1 run is" if n_runs == 1 else f"{n_runs} runs are"
            note(f"{were} under way, and can go on: --resume finds what is left again.")
            try:
                leave = not click.confirm("Cancel what is under way?", default=True, err=True)
            except click.Abort:  # a second Ctrl+C, or the terminal went away
                leave = False
        progress.n_left = n_runs if leave else 0
        return "leave" if leave else "cancel"

    return decide


def _can_ask() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
