"""Facts of energy counters: what a difference of two reads can and cannot tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llem_core.contracts import UncertaintyComponent

GPU_GAIN = 0.105 / math.sqrt(3)
"""Relative standard uncertainty of a GPU's own meter: boards were reported from 8 % below to
13 % above an external meter (Yang, Adamek, Armour, arXiv 2312.02741), taken as uniform."""

RAPL_GAIN = 0.05 / math.sqrt(3)
"""The same for RAPL's package zone. Its error is not published for every processor: ±5 %,
uniform, is an assumption."""

DRAM_GAIN = 0.20 / math.sqrt(3)
"""The same for RAPL's memory zone: within 20 % of a meter on the memory's supply in
Desrochers, Paradis, Weaver, "A Validation of DRAM RAPL Power Measurements" (MEMSYS 2016)."""

RAPL_PERIOD_S = 0.001
RAPL_STEP_J = 61e-6
"""RAPL's zones are updated every millisecond in steps of 2^-14 J on most processors (Intel,
Software Developer's Manual, volume 3, "RAPL interfaces")."""

NVML_STEP_J = 0.001


@dataclass(frozen=True, slots=True)
class Counter:
    """What is known of one cumulative energy counter.

    Attributes:
        period_s: longest time between two updates.
        step_j: smallest step of the count.
        gain: relative standard uncertainty of its scale.
        limit_w: highest power that the device can draw; ``None`` where unknown.
    """

    period_s: float
    step_j: float
    gain: float
    limit_w: float | None = None


def fault(counter: Counter, energy_j: float, duration_s: float) -> str | None:
    """Say why a difference of two reads cannot be an energy; ``None`` if it can.

    A count that fell was reset. One that did not move measured nothing: no device draws no
    power. One that moved by more than twice the device's limit, over the window and one
    update at each edge, jumped.
    """
    if energy_j < 0:
        return (
            f"the energy counter fell by {-energy_j:.3g} J during the window: it was reset, "
            "such as by a reload of the driver"
        )
    if energy_j == 0:
        return (
            f"the energy counter did not move during the window of {duration_s:.3g} s: it is "
            f"frozen, or was not updated meanwhile (its period is up to {counter.period_s:g} s)"
        )
    if counter.limit_w is not None:
        longest_s = duration_s + 2 * counter.period_s
        if energy_j > 2 * counter.limit_w * longest_s:
            return (
                f"the energy counter jumped by {energy_j:.4g} J in {duration_s:.3g} s, more than "
                f"the device can draw ({counter.limit_w:.0f} W)"
            )
    return None


def budget(
    counter: Counter, energy_j: float, edge_power_w: float
) -> tuple[UncertaintyComponent, ...]:
    """Uncertainty of a difference of two reads that were not aligned to updates.

    ``edges``: at each edge the count is older than the read by up to one period, so up to
    ``power x period`` joules are on the wrong side of it. Where in a period a read falls is
    not known, and neither is the power there: the error is taken as uniform within one
    period's energy to both sides (standard uncertainty: half-width / √3), independently at
    both edges. ``quantisation``: each read is rounded down to a step (step / √12). ``gain``:
    the meter's scale, common to all windows on this device.

    Args:
        counter: the counter's facts.
        energy_j: the difference.
        edge_power_w: power assumed at the edges, in watts; the highest one seen.
    """
    edge_j = edge_power_w * counter.period_s / math.sqrt(3)
    return (
        UncertaintyComponent("edges", math.sqrt(2) * edge_j),
        UncertaintyComponent("quantisation", math.sqrt(2) * counter.step_j / math.sqrt(12)),
        UncertaintyComponent("gain", counter.gain * energy_j, scope="absolute"),
    )
