"""Notices a baseline that was not idle: other processes, work, a device that still cools."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

from llem_core.contracts.sampler import DomainReading, EnergyReading, UsedDevices
from llem_core.measure.baseline.power import BaselineReadings, part_powers
from llem_core.measure.baseline.trend import FEWEST_PARTS, trend_w
from llem_core.measure.energy.totals import used_domains
from llem_core.units import format_si

BUSY_PERCENT = 5.0
"""Mean utilisation above which a device is not idle."""
SETTLING_S = 1.0
"""Drivers tell the utilisation of up to the last second, which may lie before the baseline."""
SPREAD_SHARE = 0.1
"""A scatter of the parts that no idle device has, as a share of their mean."""


def baseline_warnings(idle: BaselineReadings | None, when: str, devices: UsedDevices) -> list[str]:
    """Why a baseline may not be one; empty where nothing was noticed.

    Args:
        idle: the baseline.
        when: what distinguishes it, such as ``before load``.
        devices: those that the experiment uses.
    """
    if idle is None or not idle.readings:
        return []
    used = [d for r in idle.readings for d in used_domains(r, devices)]
    reasons = [*_other_processes(used), *_busy(idle.readings, used)]
    if not any(domain.method == "estimated" for domain in used):
        # An estimate follows the load that a model of the machine saw, not the device's state.
        reasons += _unsteady(part_powers(idle.readings, devices))
    if not reasons:
        return []
    return [
        f"The baseline {when} was not idle: {'; '.join(reasons)}. The idle power and what is "
        "subtracted are doubtful; free the device, or lengthen baseline.duration_seconds."
    ]


def _other_processes(used: Sequence[DomainReading]) -> list[str]:
    by_device: dict[str, dict[str, None]] = {}
    for domain in used:
        if domain.shared_with:
            seen = by_device.setdefault(domain.label or domain.name, {})
            seen.update(dict.fromkeys(domain.shared_with))
    return [
        f"other processes were on {name} ({', '.join(seen)})" for name, seen in by_device.items()
    ]


def _busy(readings: Sequence[EnergyReading], used: Sequence[DomainReading]) -> list[str]:
    begun_s = readings[0].started_s + SETTLING_S
    reasons = []
    for name, label in {domain.name: domain.label or domain.name for domain in used}.items():
        seen = [
            sample.utilisation_percent
            for reading in readings
            for sample in reading.samples
            if sample.domain == name
            and sample.utilisation_percent is not None
            and sample.time_s >= begun_s
        ]
        if seen and statistics.fmean(seen) > BUSY_PERCENT:
            reasons.append(f"{label} was busy for {statistics.fmean(seen):.0f} % of the time")
    return reasons


def _unsteady(powers_w: Sequence[float]) -> list[str]:
    if len(powers_w) < FEWEST_PARTS:
        return []
    mean_w = statistics.fmean(powers_w)
    change_w = trend_w(powers_w)
    if change_w is not None:
        ends = f"by {format_si(abs(change_w), 'W')} of {format_si(mean_w, 'W')}"
        if change_w < 0:
            return [f"its power fell {ends}, so the device was still cooling"]
        return [f"its power rose {ends}, so something was starting"]
    if statistics.stdev(powers_w) > SPREAD_SHARE * mean_w:
        share = statistics.stdev(powers_w) / mean_w
        return [f"its power varied by {share:.0%} between its parts"]
    return []


def is_unsound(idle: BaselineReadings | None, devices: UsedDevices) -> bool:
    """Whether anything speaks against using a baseline again."""
    if idle is None:
        return True
    parts = [used_domains(reading, devices) for reading in idle.readings]
    missing = [d for d in itertools.chain(*parts) if d.energy_j is None]
    return bool(missing or not all(parts) or baseline_warnings(idle, "", devices))
