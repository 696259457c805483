"""The columns of the tables, their units, and where in a result they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["TEXT", "INTEGER", "REAL"]
_LATENCIES = (
    "queue_time",
    "time_to_first_token",
    "inter_token_latency",
    "time_per_output_token",
    "end_to_end_latency",
)
_STATISTICS = ("mean_s", "p50_s", "p90_s", "p95_s", "p99_s")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: its name; for the core's figures, the key in ``result.json``.
        kind: SQLite's type.
        unit: its unit; ``1`` for counts and ratios, empty for text.
        path: keys that lead to it in ``result.json``.
    """

    name: str
    kind: Kind
    unit: str
    path: tuple[str, ...]


def _plain(kind: Kind, unit: str, *names: str) -> Iterator[Column]:
    return (Column(name, kind, unit, (name,)) for name in names)


def _latencies() -> Iterator[Column]:
    for quantity in _LATENCIES:
        for statistic in _STATISTICS:
            yield Column(f"{quantity}_{statistic}", "REAL", "s", (quantity, statistic))


EXPERIMENT = (
    *_plain("TEXT", "", "measurement_config_hash", "started_at", "finished_at"),
    *_plain("TEXT", "", "model", "backend"),
    *_plain("REAL", "s", "duration_s"),
    *_plain("INTEGER", "1", "n_requests", "n_failed_requests", "input_tokens", "output_tokens"),
    *_plain("REAL", "1/s", "output_tokens_per_second", "requests_per_second"),
    *_latencies(),
    *_plain("TEXT", "", "energy_source", "energy_method"),
    *_plain("REAL", "J", "energy_total_j", "energy_adjusted_j", "energy_per_output_token_j"),
    *_plain("REAL", "J", "energy_adjusted_per_output_token_j", "energy_per_request_j"),
    *_plain("REAL", "J", "energy_uncertainty_comparison_j", "energy_uncertainty_absolute_j"),
    *_plain("REAL", "W", "mean_power_w", "peak_power_w"),
    *_plain("REAL", "W", "baseline_power_w", "loaded_baseline_power_w"),
    *_plain("INTEGER", "B", "weights_memory_bytes", "peak_memory_bytes"),
    *_plain("INTEGER", "B", "inference_memory_bytes"),
    Column("total_flops", "REAL", "1", ("flops", "total_flops")),
    Column("flops_per_second", "REAL", "1/s", ("flops", "flops_per_second")),
    Column("model_flops_utilisation", "REAL", "1", ("flops", "model_flops_utilisation")),
    Column("parameters", "INTEGER", "1", ("model_record", "parameters")),
    Column("tool_version", "TEXT", "", ("environment_snapshot", "tool_version")),
    Column("cpu_model", "TEXT", "", ("environment_snapshot", "cpu", "model")),
    *_plain("TEXT", "", "dataset_sha256"),
)
"""Figures of an experiment that have a column; everything else is in ``result_json``."""

STUDY = (
    *_plain("TEXT", "", "study_design_hash", "started_at", "finished_at", "study_name", "status"),
    *(
        Column(name, "INTEGER", "1", ("summary", name))
        for name in ("n_configurations", "n_cycles", "n_runs", "n_completed", "n_failed")
    ),
    Column("energy_total_j", "REAL", "J", ("summary", "energy_total_j")),
    Column("duration_measured_s", "REAL", "s", ("summary", "duration_measured_s")),
    Column("duration_total_s", "REAL", "s", ("summary", "duration_total_s")),
)
"""Figures of a study that have a column."""


def look_up(result: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """The value at a path of a result; ``None`` where something on the way is null."""
    value: Any = result
    for key in path:
        if value is None:
            return None
        value = value[key]
    return value
