"""Everything that a load left, before any figure is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llem_core.config.load import LoadConfig
from llem_core.contracts.sampler import EnergyReading
from llem_core.measure.load.observed import Interval, ObservedLoad
from llem_core.measure.load.ramp import RampEnd


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """One load with its window.

    Attributes:
        load: as configured.
        observed: its requests and tokens.
        window: the interval that is measured: the meter's, where there is one.
        parts: the consecutive windows in it, each with what the meter says of it.
        ramp_s: how long the load had gone on when the window opened (s).
        ramp_ended_by: why the ramp ended.
        client_cpu_s: CPU time of this process in the window (s).
        counters_before, counters_after: the engine's own, around the whole load.
        n_unsent: requests that were due in the window and could not be sent before the end.
    """

    load: LoadConfig
    observed: ObservedLoad
    window: Interval
    parts: Sequence[tuple[Interval, EnergyReading | None]]
    ramp_s: float
    ramp_ended_by: RampEnd
    client_cpu_s: float | None
    counters_before: Mapping[str, float] = field(default_factory=dict)
    counters_after: Mapping[str, float] = field(default_factory=dict)
    n_unsent: int = 0
