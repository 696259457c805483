"""The table of what a study's configurations served, level by level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llem_core.results.views.block import Block, Column, Table, rate
from llem_core.units import format_si

if TYPE_CHECKING:
    from llem_core.results.study import ConfigurationSummary, CycleStatistics, LoadStatistics

_REMARK = "in the order of the file; means over cycles, of each run's own percentiles"
_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("offered/s", "offered_requests_per_second", ""),
    ("served/s", "achieved_requests_per_second", ""),
    ("good/s", "goodput_requests_per_second", ""),
    ("in flight", "mean_concurrency", ""),
    ("TTFT p50", "time_to_first_token_p50_s", "s"),
    ("TTFT p99", "time_to_first_token_p99_s", "s"),
    ("TPOT p50", "time_per_output_token_p50_s", "s"),
    ("e2e p99", "end_to_end_latency_p99_s", "s"),
    ("J/request", "energy_per_request_j", "J"),
    ("J/good", "energy_per_good_request_j", "J"),
)


def served_block(configurations: Sequence[ConfigurationSummary]) -> Block:
    """What each configuration served; a column that nobody has a figure for is left out."""
    served = [(one, one.load) for one in configurations if one.load is not None]
    if not served:
        return Block("Served")
    loads = [load for _, load in served]
    columns = [Column("tokens/s", [_speed(one) for one, _ in served])]
    for title, name, unit in _COLUMNS:
        values: list[CycleStatistics | None] = [getattr(load, name) for load in loads]
        if any(value is not None for value in values):
            columns.append(Column(title, [_written(value, unit) for value in values]))
    block = Block("Served", _REMARK)
    block.table = Table(columns, "configuration", [one.label for one, _ in served])
    block.items = [
        *_doubtful(served, lambda load: load.n_overloaded, "more was offered than served"),
        *_doubtful(served, lambda load: load.n_not_steady, "the window was not steady"),
    ]
    return block


def _doubtful(
    served: Sequence[tuple[ConfigurationSummary, LoadStatistics]],
    counted: Callable[[LoadStatistics], int],
    what: str,
) -> list[str]:
    return [
        f"{one.label}: {what} in {counted(load)} of {one.n_completed} cycles."
        for one, load in served
        if counted(load)
    ]


def _speed(one: ConfigurationSummary) -> str:
    speed = one.output_tokens_per_second
    return "none" if speed is None else rate(speed.mean)


def _written(value: CycleStatistics | None, unit: str) -> str:
    if value is None:
        return "none"
    return format_si(value.mean, unit) if unit else rate(value.mean)
