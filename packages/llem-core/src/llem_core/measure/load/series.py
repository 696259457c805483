"""The series of a load by the second, labelled with the phase that each second fell into."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from llem_core.contracts.sink import LoadRow
from llem_core.events import Phase
from llem_core.measure.load.record import LoadRecord

_MOST_ROWS = 86_400


def load_rows(record: LoadRecord, history: Sequence[tuple[float, Phase]]) -> tuple[LoadRow, ...]:
    """A row a second, from the load's start to the end of its last request.

    Args:
        record: the load.
        history: monotonic time at which each step of the experiment began.
    """
    whole = record.observed.interval
    n = max(1, min(_MOST_ROWS, round(whole.duration_s)))
    starts = [started_s for started_s, _ in history]
    rows = []
    for point in record.observed.points(whole, n):
        position = bisect.bisect_right(starts, point.time_s + point.duration_s / 2) - 1
        phase = str(history[max(position, 0)][1]) if history else str(Phase.MEASURE)
        inside = point.time_s + point.duration_s / 2 in record.window
        if phase == Phase.MEASURE and not inside:
            phase = "measure_edge"
        rows.append(
            LoadRow(
                time_s=point.time_s,
                phase=phase,
                duration_s=point.duration_s,
                requests_in_flight=point.requests_in_flight,
                requests_waiting=point.requests_waiting,
                output_tokens=point.output_tokens,
            )
        )
    return tuple(rows)
