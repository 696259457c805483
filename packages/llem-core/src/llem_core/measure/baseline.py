"""Idle power from the readings of a baseline's parts."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Collection, Sequence

from llem_core.contracts.readings import EnergyReading
from llem_core.measure.domains import is_used, standard_uncertainty
from llem_core.results.energy import IdlePower

PARTS = 5
"""Parts that a baseline is divided into; their scatter is its spread."""


def idle_power(
    readings: Sequence[EnergyReading], uuids: Collection[str], device_kind: str
) -> IdlePower:
    """Mean idle power of the domains in use, with its spread and standard uncertainty.

    The standard error is ``sqrt(s²/m + u²)``: ``s`` the standard deviation of the mean power of
    the ``m`` parts, ``u`` the meter's own standard uncertainty over the whole baseline.

    Args:
        readings: one a part.
        uuids: GPUs that the experiment uses.
        device_kind: where it runs.
    """
    duration_s = sum(reading.duration_s for reading in readings)
    ended_s = readings[-1].ended_s if readings else time.monotonic()
    powers: list[float] = []
    by_device: dict[str, float] = {}
    meter_j = 0.0
    reason = None if readings else "the baseline has no reading"
    for reading in readings:
        used = [d for d in reading.domains if is_used(d, reading.domains, uuids, device_kind)]
        missing = [d for d in used if d.energy_j is None]
        if missing or not used:
            reason = missing[0].reason if missing else "the sampler saw no device in use"
            break
        powers.append(sum(d.energy_j or 0.0 for d in used) / reading.duration_s)
        for domain in used:
            share_j = (domain.energy_j or 0.0) / duration_s
            by_device[domain.name] = by_device.get(domain.name, 0.0) + share_j
        meter_j = math.hypot(meter_j, standard_uncertainty(used, "comparison"))
    age_s = time.monotonic() - ended_s
    if reason is not None:
        return _missing(reason, len(readings), duration_s, age_s)
    spread_w = statistics.stdev(powers) if len(powers) > 1 else None
    scatter_w = (spread_w or 0.0) / math.sqrt(len(powers))
    return IdlePower(
        power_w=sum(by_device.values()),
        reason=None,
        spread_w=spread_w,
        standard_error_w=math.hypot(scatter_w, meter_j / duration_s),
        n_parts=len(powers),
        duration_s=duration_s,
        age_s=age_s,
        per_device_w=by_device,
    )


def _missing(reason: str, parts: int, duration_s: float, age_s: float) -> IdlePower:
    return IdlePower(
        power_w=None,
        reason=reason,
        spread_w=None,
        standard_error_w=None,
        n_parts=parts,
        duration_s=duration_s,
        age_s=age_s,
        per_device_w={},
    )
