"""Power samples of an experiment, labelled with the phase that they fell into."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Collection, Sequence

from llem_core.contracts.sampler import EnergyReading, PowerSample
from llem_core.contracts.sink import TimeseriesRow
from llem_core.events import Phase
from llem_core.results.model import ThermalRecord


def label(
    samples: Sequence[PowerSample],
    history: Sequence[tuple[float, Phase]],
    measured: EnergyReading | None,
) -> tuple[TimeseriesRow, ...]:
    """Give each sample the phase that was current at its time.

    Samples outside the measured window, but within its phase, are the waits for the meter's
    edges: they are labelled ``measure_edge``.
    """
    edges = None if measured is None else (measured.started_s, measured.ended_s)
    return tuple(
        TimeseriesRow(phase_at(sample.time_s, history, edges), sample)
        for sample in sorted(samples, key=lambda s: (s.time_s, s.domain))
    )


def phase_at(
    time_s: float, history: Sequence[tuple[float, Phase]], window: tuple[float, float] | None
) -> str:
    """The phase that a moment belongs to; ``measure_edge`` beside the window, within its phase.

    Args:
        time_s: the moment (monotonic s).
        history: monotonic time at which each step of the experiment began.
        window: edges of the measured window (monotonic s), if it has any.
    """
    position = bisect.bisect_right(history, time_s, key=lambda step: step[0]) - 1
    phase = str(history[max(position, 0)][1]) if history else str(Phase.MEASURE)
    inside = window is not None and window[0] <= time_s <= window[1]
    return "measure_edge" if phase == Phase.MEASURE and not inside else phase


def peak_power(samples: Sequence[PowerSample], used: Collection[str]) -> float | None:
    """Highest power over the domains in use together (W).

    Samples of several domains are added where they were read at the same moment; domains that
    are read at different moments give the sum of their own peaks, an upper bound.
    """
    by_domain: dict[str, dict[float, float]] = defaultdict(dict)
    for sample in samples:
        if sample.domain in used and sample.power_w is not None:
            by_domain[sample.domain][sample.time_s] = sample.power_w
    if not by_domain:
        return None
    common = set.intersection(*(set(series) for series in by_domain.values()))
    if common:
        return max(sum(series[time_s] for series in by_domain.values()) for time_s in common)
    return sum(max(series.values()) for series in by_domain.values())


def thermal_record(samples: Sequence[PowerSample], used: Collection[str]) -> ThermalRecord | None:
    """Temperature and throttling of the devices in use; ``None`` without any such sample."""
    own = sorted((s for s in samples if s.domain in used), key=lambda s: s.time_s)
    reasons: dict[str, int] = defaultdict(int)
    by_device: dict[str, list[float]] = defaultdict(list)
    telling = 0
    for sample in own:
        telling += sample.throttle_reasons is not None
        for reason in sample.throttle_reasons or ():
            reasons[reason] += 1
        if sample.temperature_c is not None:
            by_device[sample.domain].append(sample.temperature_c)
    if not by_device and not reasons:
        return None
    # Devices are read one after another: each has a first and a last sample of its own.
    return ThermalRecord(
        temperature_start_c=max((series[0] for series in by_device.values()), default=None),
        temperature_end_c=max((series[-1] for series in by_device.values()), default=None),
        temperature_max_c=max((max(series) for series in by_device.values()), default=None),
        throttle_reasons={name: count / telling for name, count in sorted(reasons.items())}
        if telling
        else None,
        n_samples=len(own),
    )
