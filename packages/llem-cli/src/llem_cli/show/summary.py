"""The summaries of an experiment and of a study, as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from llem_core.events import RunEnded
from llem_core.results.experiment import ExperimentResult
from llem_core.results.study import StudyResult
from llem_core.results.views.block import Block
from llem_core.results.views.experiment import experiment_blocks
from llem_core.results.views.study import study_blocks

from llem_cli.show.output import relative
from llem_cli.show.table import render


def summarise(result: ExperimentResult, files: Iterable[Path] = ()) -> str:
    """The summary of one result.

    Args:
        result: the result.
        files: what was written.
    """
    return render([*experiment_blocks(result), files_block(files)])


def summarise_study(
    result: StudyResult, failures: Sequence[RunEnded] = (), files: Iterable[Path] = ()
) -> str:
    """The summary of a study.

    Args:
        result: the study's result.
        failures: runs without a result.
        files: what was written.
    """
    told = [f"{one.label}, cycle {one.cycle}: {one.error or one.status}" for one in failures]
    return render([*study_blocks(result, told), files_block(files)])


def files_block(files: Iterable[Path]) -> Block:
    """What was written, as paths from here."""
    return Block("Files", items=[relative(path) for path in files])
