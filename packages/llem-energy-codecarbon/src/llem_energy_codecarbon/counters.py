"""Uncertainty of what CodeCarbon measured; its estimates have none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llem_core.contracts import UncertaintyComponent

GPU_GAIN = 0.105 / math.sqrt(3)
"""Relative standard uncertainty of a GPU's own meter: boards were reported from 8 % below to
13 % above an external meter (Yang, Adamek, Armour, arXiv 2312.02741), taken as uniform."""

CPU_GAIN = 0.05 / math.sqrt(3)
"""The same for RAPL's package zones. Their error is not published for every processor: ±5 %,
uniform, is an assumption."""


@dataclass(frozen=True, slots=True)
class Meter:
    """What is known of a meter.

    Attributes:
        period_s: longest time between two updates of its count.
        step_j: smallest step of its count.
        gain: relative standard uncertainty of its scale.
        limit_w: highest power that the device can draw; ``None`` where unknown.
    """

    period_s: float
    step_j: float
    gain: float
    limit_w: float | None = None


NVML = Meter(period_s=0.1, step_j=0.001, gain=GPU_GAIN)
"""The slowest refresh of NVML's counter is 100 ms (arXiv 2312.02741); its unit is the mJ."""

RAPL = Meter(period_s=0.001, step_j=61e-6, gain=CPU_GAIN, limit_w=16_000.0)
"""RAPL is updated every millisecond, in steps of 2^-14 J on most processors (Intel, Software
Developer's Manual, volume 3, "RAPL interfaces"). The limit is more than the packages of any
machine draw together."""


def jump(meter: Meter, energy_j: float, duration_s: float) -> str | None:
    """Say why an energy cannot be one: more than twice the device's limit over the window
    and one update at each edge. ``None`` if it can."""
    if meter.limit_w is None or energy_j <= 2 * meter.limit_w * (duration_s + 2 * meter.period_s):
        return None
    return (
        f"its energy counter jumped by {energy_j:.4g} J in {duration_s:.3g} s, more than the "
        f"device can draw ({meter.limit_w:.0f} W)"
    )


def counter_budget(
    meter: Meter, energy_j: float, edge_power_w: float
) -> tuple[UncertaintyComponent, ...]:
    """Uncertainty of a difference of two reads that were not aligned to updates.

    ``edges``: at each edge the count is older than the read by up to one period. The error
    is taken as uniform within one period's energy to both sides (half-width / √3), at both
    edges independently. ``quantisation``: both reads are rounded down to a step (step / √12).
    ``gain``: the meter's scale, common to all windows on this device.

    Args:
        meter: the meter's facts.
        energy_j: the difference.
        edge_power_w: power assumed at the edges, in watts; the highest one seen.
    """
    edge_j = edge_power_w * meter.period_s / math.sqrt(3)
    return (
        UncertaintyComponent("edges", math.sqrt(2) * edge_j),
        UncertaintyComponent("quantisation", math.sqrt(2) * meter.step_j / math.sqrt(12)),
        UncertaintyComponent("gain", meter.gain * energy_j, scope="absolute"),
    )


def integral_budget(
    meter: Meter, energy_j: float, duration_s: float, powers_w: tuple[float, ...]
) -> tuple[UncertaintyComponent, ...]:
    """Uncertainty of power that was read once in each interval and held over it.

    ``sampling``: an interval's mean lies anywhere in the range of power seen, or between
    zero and twice the mean where fewer than two reads were seen (range / √12), independently
    in each interval.
    """
    mean_w = energy_j / duration_s
    spread_w = max(powers_w) - min(powers_w) if len(powers_w) > 1 else 2 * mean_w
    intervals = max(1, len(powers_w))
    sampling_j = spread_w / math.sqrt(12) * duration_s / math.sqrt(intervals)
    return (
        UncertaintyComponent("sampling", sampling_j),
        UncertaintyComponent("gain", meter.gain * energy_j, scope="absolute"),
    )
