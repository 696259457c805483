"""Writes ``result.csv`` and ``study.csv``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from llem_core.contracts.sink import FinishedExperiment, FinishedRun, FinishedStudy, ResultSink
from llem_core.files import write_atomically
from llem_core.results.experiment import LATENCIES, ExperimentResult
from llem_core.results.load import LoadResult

_LATENCY_STATISTICS = ("mean_s", "p50_s", "p90_s", "p95_s", "p99_s")
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


def row(result: ExperimentResult) -> dict[str, Any]:
    """The figures of a result as one flat row: always the same columns, in the same order."""
    return {
        column: getattr(getattr(result, field), part, None) if part else getattr(result, field)
        for column, field, part in _columns()
    }


def _columns() -> Iterator[tuple[str, str, str]]:
    """Each column with the field that it is read from, and the part of it if it has parts."""
    for name, field in ExperimentResult.model_fields.items():
        if name in LATENCIES:
            for statistic in _LATENCY_STATISTICS:
                yield f"{name}_{statistic}", name, statistic
        elif name == "load":
            for part, inner in LoadResult.model_fields.items():
                if _is_plain(inner.annotation):
                    yield f"load_{part}", name, part
        elif _is_plain(field.annotation):
            yield name, name, ""


def _is_plain(annotation: Any) -> bool:
    if get_origin(annotation) in {Union, UnionType}:
        return all(_is_plain(member) for member in get_args(annotation))
    return annotation in {str, int, float, bool, NoneType} or get_origin(annotation) is Literal


def _study_lines(finished: FinishedStudy, directory: Path) -> Iterator[bytes]:
    columns = list(_columns())
    yield _line([*_RUN_COLUMNS, *(column for column, _, _ in columns)])
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
                *(_cell(content, field, part) for _, field, part in columns),
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


def _cell(content: Mapping[str, Any], field: str, part: str) -> Any:
    value = content.get(field)
    return value.get(part) if part and isinstance(value, Mapping) else None if part else value


def _line(cells: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(map(_harmless, cells))
    return text.getvalue().encode("utf-8", "backslashreplace")


def _harmless(cell: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe, which makes it text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
