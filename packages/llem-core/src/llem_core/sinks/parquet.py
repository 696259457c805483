"""Writes ``timeseries.parquet`` and ``requests.parquet``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llem_core.contracts.sink import FinishedExperiment, ResultSink


class ParquetSink(ResultSink):
    """The raw data of an experiment; of a study nothing is written.

    ``timeseries.parquet`` is written only where there are samples.
    """

    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> Sequence[Path]:
        """Write the requests, and the time series if there is one."""
        # The process of a study makes this sink as well, and shall not load pyarrow for nothing:
        # where memory is limited the import fails half-way, and Python crashes at its end.
        from llem_core.sinks.raw_data import write_raw_data

        return write_raw_data(finished, directory)
