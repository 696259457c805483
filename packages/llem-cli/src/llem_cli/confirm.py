"""Asks before a study that is larger than its cap."""

from __future__ import annotations

import sys

import click
from llem_core.config.study import StudyConfig
from llem_core.errors import ConfigError
from llem_core.study.pace import StudyEstimate
from llem_core.units import format_duration

from llem_cli.show.output import note
from llem_cli.show.study_summary import runs_of
from llem_cli.show.table import counted


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


def _can_ask() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
