"""Writes ``result.csv`` and ``study.csv``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llem_core.contracts.sink import FinishedExperiment, FinishedRun, FinishedStudy, ResultSink
from llem_core.files import write_atomically
from llem_core.results.views.rows import columns, row, row_of_content

_RUN_COLUMNS = (
    *("position", "config_hash", "label", "cycle", "node", "status", "error", "result_file"),
)


class CsvSink(ResultSink):
    """One row of figures; latencies are spread over columns such as ``time_to_first_token_p50_s``.

    Null is an empty cell; the reasons are in ``result.json``.
    """

    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> Sequence[Path]:
        """Write ``result.csv``: a header and one row."""
        figures = row(finished.result)
        lines = (_line(figures.keys()), _line(figures.values()))
        return [write_atomically(directory / "result.csv", lines)]

    def write_study(self, finished: FinishedStudy, directory: Path) -> Sequence[Path]:
        """Write ``study.csv``: a header and a row for each run, in execution order.

        What tells the runs from each other comes first, then the columns of ``result.csv``,
        empty for a run without a result. Results are read one at a time.
        """
        return [write_atomically(directory / "study.csv", _study_lines(finished, directory))]


def _study_lines(finished: FinishedStudy, directory: Path) -> Iterator[bytes]:
    yield _line([*_RUN_COLUMNS, *(column for column, _, _ in columns())])
    for run in finished.runs:
        content, error = _read(run)
        file = None if run.result_file is None else run.result_file
        if file is not None and file.is_relative_to(directory):
            file = file.relative_to(directory)
        yield _line(
            [
                *(run.position, run.config_hash, run.label, run.cycle),
                *(run.node, run.status, error),
                None if file is None else file.as_posix(),
                *row_of_content(content).values(),
            ]
        )


def _read(run: FinishedRun) -> tuple[Mapping[str, Any], str | None]:
    if run.result_file is None:
        return {}, run.error
    try:
        content = json.loads(run.result_file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        return {}, run.error or f"its result cannot be read: {error}"
    return (content, run.error) if isinstance(content, dict) else ({}, "its result is damaged")


def _line(cells: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(map(_harmless, cells))
    return text.getvalue().encode("utf-8", "backslashreplace")


def _harmless(cell: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe, which makes it text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
