"""The measured loop: it generates, notes monotonic times, and does nothing else."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.contracts.backend import InferenceBackend
from llem_core.contracts.workload import Batch


@dataclass(frozen=True, slots=True)
class WindowRun:
    """What happened in a window, before anything is looked at.

    Attributes:
        started_s, ended_s: monotonic times of its edges, the device idle at both.
        raw: what each ``generate`` call returned.
    """

    started_s: float
    ended_s: float
    raw: list[object]


def settle(backend: InferenceBackend) -> None:
    """Finish what would otherwise fall into the window that is about to be opened.

    Garbage of the set-up is collected now, the devices become idle, and peak memory is counted
    from here on.
    """
    gc.collect()
    backend.synchronise()
    backend.reset_peak_memory()


def run_batches(backend: InferenceBackend, batches: Sequence[Batch]) -> WindowRun:
    """Generate all batches in order, with the devices synchronised at both edges."""
    clock = time.monotonic
    generate = backend.generate
    backend.synchronise()
    started_s = clock()
    raw = [generate(batch) for batch in batches]
    backend.synchronise()
    return WindowRun(started_s, clock(), raw)
