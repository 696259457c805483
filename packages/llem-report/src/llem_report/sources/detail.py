"""The runs that are shown in detail: whole results, samples and requests of a few of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from llem_core.errors import ConfigError
from llem_core.files import read_file
from llem_core.results.experiment import ExperimentResult

from llem_report.sources.run import Run, load

MOST_DETAILED = 6


@dataclass(frozen=True)
class Detail:
    """One run with all that its folder holds.

    Attributes:
        name: what its configuration is called in the report.
        run: its figures.
        result: the whole result.
        remarks: data files that should be there and cannot be read.
    """

    name: str
    run: Run
    result: ExperimentResult
    remarks: list[str] = field(default_factory=list)

    @cached_property
    def timeseries(self) -> list[dict[str, Any]]:
        """Rows of ``timeseries.parquet`` in the order of time; empty where there is none."""
        rows = self._rows(self.result.timeseries, _SERIES)
        return sorted(
            (row for row in rows if row["time_s"] is not None), key=lambda row: row["time_s"]
        )

    @cached_property
    def requests(self) -> list[dict[str, Any]]:
        """Finished requests of ``requests.parquet`` that count for the latencies."""
        rows = self._rows(self.result.requests, _REQUESTS)
        return [row for row in rows if row["error"] is None and row["in_window"] is not False]

    def _rows(self, name: str | None, columns: Sequence[str]) -> list[dict[str, Any]]:
        if name is None:
            return []
        path = self.run.folder / Path(name).name
        try:
            source = pq.ParquetFile(pa.BufferReader(read_file(path)))
            known = [column for column in columns if column in source.schema_arrow.names]
            found: list[dict[str, Any]] = source.read(columns=known).to_pylist()
        except (OSError, pa.ArrowException) as error:
            self.remarks.append(f"{path} cannot be read ({error}): what is drawn of it is missing.")
            return []
        missing = dict.fromkeys(column for column in columns if column not in known)
        return [{**missing, **row} for row in found]


_SERIES = (
    *("time_s", "device", "phase", "power_w", "temperature_c", "sm_clock_hz", "throttle_reasons"),
    *("requests_in_flight", "requests_waiting", "output_tokens"),
)
_REQUESTS = (
    *("started_s", "ended_s", "time_to_first_token_s", "time_per_output_token_s"),
    *("token_times_s", "error", "in_window"),
)


def choose(names_and_runs: Sequence[tuple[str, Sequence[Run]]]) -> list[Detail]:
    """The first run of each configuration, or of a few from the best to the worst.

    Args:
        names_and_runs: configurations in the order of their rank.
    """
    with_runs = [(name, runs[0]) for name, runs in names_and_runs if runs]
    n = len(with_runs)
    if n > MOST_DETAILED:
        places = {round(i * (n - 1) / (MOST_DETAILED - 1)) for i in range(MOST_DETAILED)}
        with_runs = [with_runs[place] for place in sorted(places)]
    found = []
    for name, run in with_runs:
        try:
            found.append(Detail(name, run, load(run.folder)[0]))
        except ConfigError:  # it was whole a moment ago: a study that runs may be resumed over it
            continue
    return found
