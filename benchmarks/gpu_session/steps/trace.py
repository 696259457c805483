"""The raw truth of the sensors: all of them every millisecond through idleness, load and decay.

First without a context on the device, then with one. Then the sampler's own probe measures the
same card, and its figures stand beside those that can be read off the trace.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pynvml

from gpu_session.session import Session

STEP_S = 0.001
NAMES = ("counter_mj", "instant_mw", "average_mw", "legacy_mw")
Row = tuple[float, int | None, int | None, int | None, int | None]


def run(session: Session) -> None:
    """Trace, keep the trace, read the periods off it, and probe."""
    idle_s, resident_s, load_s, decay_s = session.scale.trace_s
    pynvml.nvmlInit()
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        parts = {"idle, no context": _watch(handle, idle_s)}
        session.note("processes_without_context", _pids(handle))
        session.machine.make_context()
        session.note("processes_with_context", _pids(handle))
        session.note("own_pid", os.getpid())
        load = session.machine.load()
        time.sleep(idle_s / 5)
        parts["idle, context"] = _watch(handle, resident_s)
        on_s = time.monotonic()
        load.on()
        try:
            parts["random matmul"] = _watch(handle, load_s)
        finally:
            load.off()
        off_s = time.monotonic()
        parts["decay"] = _watch(handle, decay_s)
    finally:
        pynvml.nvmlShutdown()
    _keep(session, parts)
    session.note("load_on_s", on_s)
    session.note("load_off_s", off_s)
    session.note("parts", [{"part": name, **summary(rows)} for name, rows in parts.items()])
    every = [row for rows in parts.values() for row in rows]
    periods = {name: update_ms(every, column) for column, name in enumerate(NAMES, start=1)}
    session.note("update_ms", periods)
    session.note("rise_ms", rise_ms(parts["random matmul"], on_s))
    session.note("probe", [_probed(found) for found in session.machine.probe()])


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Mean powers of a part, and the counter's slope beside them (W)."""
    watts = {
        f"{name.removesuffix('_mw')}_w": _mean([row[column] for row in rows])
        for column, name in enumerate(NAMES[1:], start=2)
    }
    first, last = rows[0], rows[-1]
    energy_mj = None if first[1] is None or last[1] is None else last[1] - first[1]
    length_s = last[0] - first[0]
    slope_w = None if energy_mj is None or length_s <= 0 else energy_mj / 1000 / length_s
    gaps_ms = [1000 * (b[0] - a[0]) for a, b in itertools.pairwise(rows)]
    return {
        "reads": len(rows),
        "length_s": round(length_s, 3),
        "counter_w": slope_w,
        **watts,
        "median_gap_ms": statistics.median(gaps_ms) if gaps_ms else None,
    }


def update_ms(rows: Sequence[Row], column: int) -> float | None:
    """Time between two changes of a value: the median, which few missed ones do not move."""
    changes_s = [
        after[0] for before, after in itertools.pairwise(rows) if after[column] != before[column]
    ]
    gaps_s = [b - a for a, b in itertools.pairwise(changes_s)]
    return 1000 * statistics.median(gaps_s) if len(gaps_s) >= 5 else None


def rise_ms(rows: Sequence[Row], on_s: float) -> dict[str, float | None]:
    """Time from the start of the load until each power is at nine tenths of its last value."""
    found: dict[str, float | None] = {}
    for column, name in enumerate(NAMES[1:], start=2):
        last, first = rows[-1][column], rows[0][column]
        if last is None or first is None or last <= first:
            found[name.removesuffix("_mw")] = None
            continue
        level = first + 0.9 * (last - first)
        at_s = next(row[0] for row in rows if (row[column] or 0) >= level)
        found[name.removesuffix("_mw")] = 1000 * (at_s - on_s)
    return found


def _watch(handle: Any, duration_s: float) -> list[Row]:
    rows = []
    next_s = time.monotonic()
    until_s = next_s + duration_s
    while (now_s := time.monotonic()) < until_s:
        counter = _told(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        legacy = _told(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
        instant, average = _fields(handle)
        rows.append((now_s, counter, instant, average, legacy))
        next_s = max(next_s + STEP_S, time.monotonic())
        time.sleep(next_s - time.monotonic() if next_s > time.monotonic() else 0)
    return rows


def _fields(handle: Any) -> tuple[int | None, int | None]:
    found = _told(lambda: pynvml.nvmlDeviceGetFieldValues(handle, [186, 185]))
    if found is None:
        return None, None
    instant, average = (f.value.uiVal if f.nvmlReturn == 0 else None for f in found)
    return instant, average


def _told(call: Any) -> Any:
    try:
        return call()
    except pynvml.NVMLError:
        return None


def _pids(handle: Any) -> list[int] | None:
    found = _told(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    return None if found is None else [process.pid for process in found]


def _mean(values_mw: Sequence[int | None]) -> float | None:
    known = [value for value in values_mw if value is not None]
    return statistics.fmean(known) / 1000 if known else None


def _keep(session: Session, parts: dict[str, list[Row]]) -> None:
    rows = [(name, *row) for name, part in parts.items() for row in part]
    columns = zip(*rows, strict=True)
    table = pa.table(dict(zip(("part", "time_s", *NAMES), map(list, columns), strict=True)))
    pq.write_table(table, session.raw / "trace.parquet", compression="zstd")


def _probed(found: Any) -> dict[str, Any]:
    return {"label": found.label, "values": found.values, "reasons": found.reasons}
