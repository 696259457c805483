"""Idle power from the readings of a baseline's parts.

The baseline P_b is the energy of its m parts over their time. Its standard uncertainty is

    u(P_b) = max(√((m − 1)/(m − 3))·s/√m, u_meter)

s
    Standard deviation of the mean powers of the parts. It holds all that varies from part to part:
    the idle power itself, and the meter's edges and quantisation. What is known of the mean of few
    values is a scaled and shifted t-distribution with m − 1 degrees of freedom, whose standard
    deviation is s/√m times the root above (JCGM 101:2008, 6.4.9): √2 for five parts. So the factor
    k = 2 of the whole budget holds for it too, with no degrees of freedom to be carried along.
u_meter
    The meter's own statement over the whole baseline. Since the scatter holds the same effects
    they are not added to it, which would count them twice (JCGM 100:2008, 4.3.10); the statement
    is a floor below which few parts that agree by chance cannot push the scatter.

A baseline of an earlier experiment was measured at another time, and what idle power did since is
not in s/√m. The idle power of now is taken as one more draw of what the parts were drawn from,
which gives s·√(1 + 1/m) in place of s/√m for a cached one. A drift that is larger than the scatter
of the parts is not covered; the time to live bounds it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.contracts.sampler import DomainReading, EnergyReading, UsedDevices
from llem_core.measure.baseline.trend import slope
from llem_core.measure.energy.totals import used_domains
from llem_core.measure.energy.uncertainty import combined
from llem_core.results.energy import BaselinePower


@dataclass(frozen=True, slots=True)
class BaselineReadings:
    """Readings of one baseline.

    Attributes:
        readings: one a part, in order; empty where nothing measured.
        ended_s: monotonic time of its end, in this process's terms.
        cached: whether an earlier experiment measured it.
        key: names what it may be used for.
    """

    readings: Sequence[EnergyReading]
    ended_s: float
    cached: bool
    key: str


def baseline_power(idle: BaselineReadings, devices: UsedDevices, opened_s: float) -> BaselinePower:
    """Mean idle power of the domains in use, with its spread and standard uncertainty.

    Args:
        idle: the baseline.
        devices: those that the experiment uses.
        opened_s: monotonic time at which the measured window opened.
    """
    parts = [used_domains(reading, devices) for reading in idle.readings]
    duration_s = math.fsum(reading.duration_s for reading in idle.readings)
    reason = _why_missing(parts)
    missing = BaselinePower(
        power_w=None,
        reason=reason,
        spread_w=None,
        standard_uncertainty_w=None,
        trend_w=None,
        n_parts=len(parts),
        duration_s=duration_s,
        age_s=opened_s - idle.ended_s,
        cached=idle.cached,
        per_device_w={},
    )
    if reason is not None:
        return missing
    powers = part_powers(idle.readings, devices)
    by_device = _by_device(parts, duration_s)
    spread_w = statistics.stdev(powers) if len(powers) > 1 else None
    # Edges of neighbouring parts err against each other; taken as independent they are a bound.
    meter_w = math.hypot(*(combined(part, "comparison") for part in parts)) / duration_s
    return missing.model_copy(
        update={
            "power_w": math.fsum(by_device.values()),
            "spread_w": spread_w,
            "standard_uncertainty_w": _standard_uncertainty(
                spread_w, len(powers), meter_w, idle.cached
            ),
            "trend_w": slope(powers) * (len(powers) - 1) if len(powers) > 1 else None,
            "per_device_w": by_device,
        }
    )


def part_powers(readings: Sequence[EnergyReading], devices: UsedDevices) -> list[float]:
    """Mean power of the domains in use, part by part (W); parts without a reading are left out."""
    parts = [(r.duration_s, used_domains(r, devices)) for r in readings]
    return [
        math.fsum(d.energy_j or 0.0 for d in used) / duration_s
        for duration_s, used in parts
        if used and all(d.energy_j is not None for d in used)
    ]


def _standard_uncertainty(
    spread_w: float | None, parts: int, meter_w: float, cached: bool
) -> float | None:
    # The distribution of a mean of fewer than four values has no standard deviation.
    if spread_w is None or parts < 4:
        return None
    share = 1 + 1 / parts if cached else 1 / parts
    return max(spread_w * math.sqrt(share * (parts - 1) / (parts - 3)), meter_w)


def _why_missing(parts: Sequence[Sequence[DomainReading]]) -> str | None:
    if not parts:
        return "the baseline has no reading"
    for used in parts:
        if not used:
            return "the sampler saw no device in use during the baseline"
        missing = next((d for d in used if d.energy_j is None), None)
        if missing is not None:
            return f"{missing.label or missing.name}: {missing.reason or 'no reading'}"
    return None


def _by_device(parts: Sequence[Sequence[DomainReading]], duration_s: float) -> dict[str, float]:
    by_device: dict[str, float] = {}
    for used in parts:
        for domain in used:
            share_w = (domain.energy_j or 0.0) / duration_s
            by_device[domain.name] = by_device.get(domain.name, 0.0) + share_w
    return by_device
