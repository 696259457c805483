"""The series of a load by the second, labelled with the phase that each second fell into."""

from __future__ import annotations

from collections.abc import Sequence

from llem_core.contracts.sink import LoadRow
from llem_core.events import Phase
from llem_core.measure.load.record import LoadRecord
from llem_core.measure.result.timeseries import phase_at

_MOST_ROWS = 86_400


def load_rows(record: LoadRecord, history: Sequence[tuple[float, Phase]]) -> tuple[LoadRow, ...]:
    """A row a second, from the load's start to the end of its last request.

    Args:
        record: the load.
        history: monotonic time at which each step of the experiment began.
    """
    whole, window = record.observed.interval, record.window
    points = record.observed.points(whole, max(1, min(_MOST_ROWS, round(whole.duration_s))))
    edges = (window.started_s, window.ended_s)
    return tuple(
        LoadRow(phase_at(point.time_s + point.duration_s / 2, history, edges), point)
        for point in points
    )
