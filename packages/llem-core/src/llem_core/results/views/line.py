"""A result in one line, such as Python prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llem_core.results.views.block import counted, rate
from llem_core.text import displayable, without_password
from llem_core.units import format_si

if TYPE_CHECKING:
    from llem_core.results.experiment import ExperimentResult
    from llem_core.results.study import StudyResult

_LONGEST_NAME = 60


def experiment_line(result: ExperimentResult) -> str:
    """What was measured and its two main figures."""
    parts = [
        energy_per_token(result.energy_per_output_token_j, result.energy_method),
        f"{rate(result.output_tokens_per_second)} tokens/s",
        counted(result.n_requests, "request"),
    ]
    if result.measurement_warnings:
        parts.append(counted(len(result.measurement_warnings), "warning"))
    name = f"{_short(result.model)}, {_short(result.backend)}"
    return f"<ExperimentResult {name}: {', '.join(parts)}>"


def study_line(result: StudyResult) -> str:
    """What was run, how it ended, and the best configuration."""
    summary = result.summary
    parts = [
        f"{summary.n_completed} of {counted(summary.n_runs, 'run')}",
        counted(summary.n_configurations, "configuration"),
    ]
    best = next((one for one in result.configurations if one.rank == 1), None)
    if best is not None and best.energy_per_output_token_j is not None:
        told = energy_per_token(best.energy_per_output_token_j.mean, best.energy_method)
        parts.append(f"best {told} with {_short(best.label) or 'the only one'}")
    else:
        parts.append("energy not measured")
    if result.warnings:
        parts.append(counted(len(result.warnings), "warning"))
    return f"<StudyResult {_short(result.study_name)}, {result.status}: {', '.join(parts)}>"


def energy_per_token(energy_j: float | None, method: str | None) -> str:
    """Energy an output token for people; the word stands with it where it is an estimate."""
    if energy_j is None:
        return "energy not measured"
    word = " (estimated)" if method == "estimated" else ""
    return f"{format_si(energy_j, 'J/token')}{word}"


def _short(text: str) -> str:
    line = displayable(" ".join(without_password(text).split()))
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…"
