"""The tables of ``timeseries.parquet`` and ``requests.parquet``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llem_core.contracts.sink import FinishedExperiment
from llem_core.files import write_atomically
from llem_core.sinks.columns import table


def _field(name: str, kind: Any, description: str) -> Any:
    return pa.field(name, kind, metadata={"description": description})


TIMESERIES_SCHEMA = pa.schema(
    [
        _field("time_s", pa.float64(), "Seconds from the start of the experiment (monotonic)."),
        _field("device", pa.string(), "UUID of a GPU, or the meter's name of the domain."),
        _field("phase", pa.string(), "Step of the experiment; `measure` is the measured window."),
        _field("power_w", pa.float64(), "Power (W)."),
        _field("temperature_c", pa.float64(), "Temperature (°C)."),
        _field("utilisation_percent", pa.float64(), "Share of time with a kernel running (%)."),
        _field("memory_bytes", pa.int64(), "Memory in use on the device, all processes (bytes)."),
        _field("sm_clock_hz", pa.float64(), "Clock of the multiprocessors (Hz)."),
        _field("memory_clock_hz", pa.float64(), "Clock of the memory (Hz)."),
        _field("throttle_reasons", pa.list_(pa.string()), "Active reasons for lowered clocks."),
        _field("requests_in_flight", pa.float64(), "Device `load`: mean over this second."),
        _field("requests_waiting", pa.float64(), "Device `load`: due and not sent, likewise."),
        _field("output_tokens", pa.int64(), "Device `load`: output tokens of that second."),
    ]
)

REQUESTS_SCHEMA = pa.schema(
    [
        _field("index", pa.int64(), "Position of the prompt in the data set, from 0."),
        _field("rank", pa.int32(), "Data-parallel process that ran it, from 0."),
        _field("batch", pa.int64(), "Batch of that process that it ran in, from 0."),
        _field("input_tokens", pa.int64(), "Tokens of the prompt, padding not counted."),
        _field("output_tokens", pa.int64(), "Tokens generated."),
        _field(
            "started_s",
            pa.float64(),
            "When the engine began it, from the start of the experiment (s).",
        ),
        _field("ended_s", pa.float64(), "Its last token, or its failure, from the same start (s)."),
        _field("queued_s", pa.float64(), "Waiting in the engine before started_s (s)."),
        _field("time_to_first_token_s", pa.float64(), "From started_s to its first token (s)."),
        _field("time_per_output_token_s", pa.float64(), "(last - first token) / (tokens - 1) (s)."),
        _field("token_times_s", pa.list_(pa.float64()), "Each token, from started_s (s)."),
        _field("token_ids", pa.list_(pa.int64()), "The generated tokens."),
        _field("text", pa.string(), "The generated text, where the backend decodes it."),
        _field("error", pa.string(), "Why it failed; null if it did not."),
        _field("error_kind", pa.string(), "What kind of failure it was."),
        _field("prompt", pa.int64(), "Under a load: position of its prompt; index is its number."),
        _field("sent_s", pa.float64(), "Under a load: when it was sent; started_s: when due (s)."),
        _field("in_window", pa.bool_(), "Under a load: whether it was due in the window."),
        _field("energy_attributed_j", pa.float64(), "Its share by tokens: an attribution (J)."),
    ]
)


def write_raw_data(finished: FinishedExperiment, directory: Path) -> list[Path]:
    """Write the requests, and the time series if there is one; gives the files."""
    written = [_write(_requests(finished), directory / "requests.parquet")]
    if finished.timeseries or finished.load:
        written.append(_write(_timeseries(finished), directory / "timeseries.parquet"))
    return written


_NO_SAMPLE = (None,) * 7


def _timeseries(finished: FinishedExperiment) -> Any:
    rows: list[tuple[Any, ...]] = [
        (
            row.sample.time_s - finished.started_s,
            row.sample.domain,
            row.phase,
            row.sample.power_w,
            row.sample.temperature_c,
            row.sample.utilisation_percent,
            row.sample.memory_bytes,
            row.sample.sm_clock_hz,
            row.sample.memory_clock_hz,
            row.sample.throttle_reasons,
            *(None, None, None),
        )
        for row in finished.timeseries
    ]
    rows += [
        (
            *(row.point.time_s - finished.started_s, "load", row.phase),
            *_NO_SAMPLE,
            *(row.point.requests_in_flight, row.point.requests_waiting, row.point.output_tokens),
        )
        for row in finished.load
    ]
    return table(rows, TIMESERIES_SCHEMA)


def _requests(finished: FinishedExperiment) -> Any:
    rows = [
        (
            request.index,
            process.rank,
            request.batch,
            request.input_tokens,
            request.output_tokens,
            request.started_s - finished.started_s,
            request.ended_s - finished.started_s,
            request.queued_s,
            request.time_to_first_token_s,
            request.time_per_output_token_s,
            request.token_times_s and [t - request.started_s for t in request.token_times_s],
            request.token_ids,
            request.text,
            request.error,
            request.error_kind,
            request.prompt,
            None if request.sent_s is None else request.sent_s - finished.started_s,
            request.in_window,
            request.energy_attributed_j,
        )
        for process in finished.processes
        for request in process.requests
    ]
    return table(rows, REQUESTS_SCHEMA)


def _write(rows: Any, path: Path) -> Path:
    buffer = pa.BufferOutputStream()
    pq.write_table(rows, buffer)
    return write_atomically(path, buffer.getvalue().to_pybytes())
