"""Writes ``result.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llem_core.atomic import write_atomically
from llem_core.contracts.sink import ResultSink
from llem_core.results.experiment import ExperimentResult
from llem_core.results.finished import FinishedExperiment

_PLAIN = (str, int, float, bool)


class CsvSink(ResultSink):
    """One row of figures; latencies are spread over columns such as ``time_to_first_token_p50_s``.

    Null is an empty cell; the reasons are in ``result.json``.
    """

    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> Sequence[Path]:
        """Write ``result.csv``: a header and one row."""
        columns = row(finished.result)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerow(columns)
        return [write_atomically(directory / "result.csv", text.getvalue().encode())]


def row(result: ExperimentResult) -> dict[str, Any]:
    """The figures of a result as one flat row: always the same columns, in the same order."""
    columns: dict[str, Any] = {}
    for name in ExperimentResult.model_fields:
        value = getattr(result, name)
        if name in {"time_to_first_token", "inter_token_latency", "end_to_end_latency"}:
            for statistic in ("mean_s", "p50_s", "p90_s", "p95_s", "p99_s"):
                columns[f"{name}_{statistic}"] = getattr(value, statistic, None)
        elif value is None or isinstance(value, _PLAIN):
            columns[name] = value
    for name in _STRUCTURES:
        columns.pop(name, None)  # null today, a structure tomorrow: never a column
    return columns


_STRUCTURES = (
    "energy_breakdown",
    "uncertainty",
    "phase_energy",
    "baseline",
    "loaded_baseline",
    "thermal",
)
