"""Uncertainty of a meter's energy: terms that samplers of every make share.

Where nothing is known of an error but that it is no larger than a half-width, it is taken as
uniform: its standard uncertainty is half-width / √3 (JCGM 100:2008, 4.3.7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.contracts.sampler import UncertaintyComponent

_ROOT_3 = math.sqrt(3)

CLOCK_RATE = 500e-6 / _ROOT_3
"""Relative standard uncertainty of the rate of the monotonic clock: Linux slews it by 500 parts
in a million at the most (adjtimex(2))."""

GPU_GAIN_HALF_WIDTH = 0.105
"""Half-width of a board's unknown gain, as a share: boards were reported from 8 % below to 13 %
above an external meter (Yang, Adamek, Armour, arXiv 2312.02741)."""

RAPL_GAIN_HALF_WIDTH = 0.05
"""The same for RAPL's package zones. Their error is not published for every processor: ± 5 % is an
assumption."""

RAPL_DRAM_GAIN_HALF_WIDTH = 0.20
"""The same for RAPL's memory zones: within 20 % of a meter on the memory's supply in Desrochers,
Paradis, Weaver, "A Validation of DRAM RAPL Power Measurements" (MEMSYS 2016)."""


@dataclass(frozen=True, slots=True)
class CounterFacts:
    """What is known of a cumulative energy counter.

    Attributes:
        period_s: longest time between two updates.
        step_j: smallest step of the count.
        gain_half_width: half-width of its unknown scale, as a share of the energy.
        limit_w: highest power that the device can draw; ``None`` where unknown.
    """

    period_s: float
    step_j: float
    gain_half_width: float
    limit_w: float | None = None


NVML_COUNTER = CounterFacts(0.1, 0.001, GPU_GAIN_HALF_WIDTH)
"""NVML's counter is refreshed every 100 ms at the slowest (arXiv 2312.02741), in steps of 1 mJ."""

RAPL_COUNTER = CounterFacts(0.001, 61e-6, RAPL_GAIN_HALF_WIDTH, 2000.0)
"""RAPL is updated every millisecond, in steps of 2⁻¹⁴ J on most processors (Intel, Software
Developer's Manual, volume 3, "RAPL interfaces"). No package draws 2 kW."""

RAPL_DRAM_COUNTER = CounterFacts(0.001, 61e-6, RAPL_DRAM_GAIN_HALF_WIDTH, 2000.0)
"""The same for the memory zone of a package."""


def gain(energy_j: float, half_width: float) -> UncertaintyComponent:
    """The meter's unknown scale: a share of every energy, the same in all runs on the device.

    Boards of one product share a design, and how far their errors agree is not known; the bound,
    that they agree, is taken.
    """
    return UncertaintyComponent(
        "gain",
        abs(energy_j) * half_width / _ROOT_3,
        growth="linear",
        common_to_runs=True,
        common_to_devices=True,
        scales_with_energy=True,
    )


def edges(standard_j: float) -> UncertaintyComponent:
    """Energy on the wrong side of a window's edges.

    The windows of all devices open and close at the same moments, and their power changes together
    when the work starts and ends, so these errors have one cause.
    """
    return UncertaintyComponent("edges", standard_j, common_to_devices=True)


def quantisation(step_j: float) -> UncertaintyComponent:
    """Two reads of a count that is rounded down to a step: step / √12 each."""
    return UncertaintyComponent("quantisation", math.sqrt(2) * step_j / math.sqrt(12))


def clock_rate(energy_j: float) -> UncertaintyComponent:
    """What the rate of the monotonic clock leaves open of an energy that is power times time."""
    return UncertaintyComponent(
        "clock", abs(energy_j) * CLOCK_RATE, growth="linear", common_to_devices=True
    )


def counter_budget(
    counter: CounterFacts, energy_j: float, edge_power_w: float
) -> tuple[UncertaintyComponent, ...]:
    """Uncertainty of a difference of two reads that were not aligned to updates.

    ``edges``: at each edge the count is older than the read by up to one period, so up to
    ``power x period`` joules are on the wrong side of it. Where in a period a read falls is not
    known, and neither is the power there: the error is taken as uniform within one period's energy
    to both sides, independently at both edges.

    Args:
        counter: the counter's facts.
        energy_j: the difference.
        edge_power_w: power assumed at the edges, in watts; the highest one seen.
    """
    edge_j = edge_power_w * counter.period_s / _ROOT_3
    return (
        edges(math.sqrt(2) * edge_j),
        quantisation(counter.step_j),
        gain(energy_j, counter.gain_half_width),
    )


def integral_budget(
    gain_half_width: float, energy_j: float, duration_s: float, powers_w: Sequence[float]
) -> tuple[UncertaintyComponent, ...]:
    """Uncertainty of power that was read once in each interval and held over it.

    ``sampling``: an interval's mean lies anywhere in the range of power seen, or between zero and
    twice the mean where fewer than two reads were seen (range / √12), independently in each
    interval; so it grows with the root of the window.

    Args:
        gain_half_width: of the meter's unknown scale, as a share.
        energy_j: power times time.
        duration_s: length of the window (s).
        powers_w: the reads (W).
    """
    mean_w = energy_j / duration_s
    spread_w = max(powers_w) - min(powers_w) if len(powers_w) > 1 else 2 * mean_w
    sampling_j = spread_w / math.sqrt(12) * duration_s / math.sqrt(max(1, len(powers_w)))
    return (
        UncertaintyComponent("sampling", sampling_j, growth="root"),
        clock_rate(energy_j),
        gain(energy_j, gain_half_width),
    )


def counter_fault(counter: CounterFacts, energy_j: float, duration_s: float) -> str | None:
    """Say why a difference of two reads cannot be an energy; ``None`` if it can.

    A count that fell was reset. One that did not move measured nothing: no device draws no power.
    One that moved by more than twice the device's limit, over the window and one update at each
    edge, jumped.
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
    limit_w = counter.limit_w
    if limit_w is not None and energy_j > 2 * limit_w * (duration_s + 2 * counter.period_s):
        return (
            f"the energy counter jumped by {energy_j:.4g} J in {duration_s:.3g} s, more than "
            f"the device can draw ({limit_w:.0f} W)"
        )
    return None
