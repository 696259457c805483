"""Energy of prefill and decode, from separate passes.

A prefill pass processes every prompt for its first token only; the energy of the measured
window less that of one prefill pass is the energy of decoding, E_d = E − E_p/n with n passes in
one window of the meter: u(E_p/n) = u(E_p)/n, and u²(E_d) = u²(E) + u²(E_p)/n². The card's gain is
in all of them alike and says nothing of how they compare. A phase whose energy does not stand out
of its expanded uncertainty is not resolvable, and null.

The passes run the window's own batches, with data-parallel processes side by side, so a prefill
pass holds what its batches have of padding, and what each call of the engine costs. What a device
does in decoding cannot be in it; but a device that prefills alone is hotter and may clock lower
than in the window, which no uncertainty here covers.
"""

from __future__ import annotations

import math

from llem_core.contracts.sampler import EnergyReading, UsedDevices
from llem_core.measure.energy.totals import RecordedEnergy, record_energy
from llem_core.measure.energy.uncertainty import COVERAGE_FACTOR, combined
from llem_core.results.energy import PhaseEnergy

LONGEST_S = 10.0
"""Prefill passes are repeated until they take as long as the window, or this long (s)."""
MOST_PASSES = 10_000


def passes_for(pass_s: float, window_s: float | None) -> int:
    """How often to repeat a prefill pass that takes ``pass_s``.

    One pass may be far shorter than a refresh of the meter. Together they last as long as the
    measured window, so that a meter that could resolve the one resolves the other, and no longer
    than is of use.
    """
    enough_s = LONGEST_S if window_s is None else min(LONGEST_S, window_s)
    return min(MOST_PASSES, max(1, math.ceil(enough_s / max(pass_s, 1e-9))))


def phase_energy(
    total: RecordedEnergy,
    reading: EnergyReading | None,
    passes: int,
    devices: UsedDevices,
) -> PhaseEnergy:
    """Divide the energy of the measured window.

    Args:
        total: energy of the measured window.
        reading: of the window that held all prefill passes.
        passes: how many passes that window held.
        devices: those that the experiment used.
    """
    prefill = record_energy(reading, "the prefill pass has no reading", devices)
    duration_s = reading.duration_s / passes if reading else None
    why_not = _why_not(total, prefill)
    if why_not or total.total_j is None or prefill.total_j is None:
        return _unresolved(why_not or "no reading", duration_s, passes)
    prefill_j = prefill.total_j / passes
    decode_j = total.total_j - prefill_j
    prefill_standard_j = combined(prefill.used, "comparison") / passes
    decode_standard_j = math.hypot(prefill_standard_j, combined(total.used, "comparison"))
    found = {
        "prefill": (prefill_j, COVERAGE_FACTOR * prefill_standard_j),
        "decode": (decode_j, COVERAGE_FACTOR * decode_standard_j),
    }
    reasons = [why for name, (j, u_j) in found.items() if (why := _hidden(name, j, u_j))]
    return PhaseEnergy(
        prefill_j=_resolved(*found["prefill"]),
        decode_j=_resolved(*found["decode"]),
        prefill_uncertainty_j=found["prefill"][1],
        decode_uncertainty_j=found["decode"][1],
        prefill_duration_s=duration_s,
        prefill_passes=passes,
        reason=f"not resolvable: {'; '.join(reasons)}" if reasons else None,
    )


def _why_not(total: RecordedEnergy, prefill: RecordedEnergy) -> str | None:
    if total.total_j is None:
        return total.reason
    if prefill.total_j is None:
        return f"prefill passes: {prefill.reason}"
    if "estimated" in {total.method, prefill.method}:
        return "an estimate cannot tell the phases apart"
    if not all(domain.uncertainty for domain in (*total.used, *prefill.used)):
        return "the sampler states no uncertainty, so nothing tells whether they stand out of it"
    if {d.name for d in total.used} != {d.name for d in prefill.used}:
        return "the prefill passes were read from other domains than the window"
    return None


def _resolved(energy_j: float, uncertainty_j: float) -> float | None:
    return energy_j if energy_j > uncertainty_j else None


def _hidden(name: str, energy_j: float, uncertainty_j: float) -> str | None:
    if energy_j > uncertainty_j:
        return None
    if energy_j < -uncertainty_j:
        return (
            f"{name} would be {energy_j:.3g} J: a prefill pass drew more than the whole window, so "
            "the device was in another state, or its power is not steady"
        )
    return f"{name} ({energy_j:.3g} J) is within its uncertainty (± {uncertainty_j:.3g} J)"


def _unresolved(reason: str, duration_s: float | None, passes: int) -> PhaseEnergy:
    return PhaseEnergy(
        prefill_j=None,
        decode_j=None,
        prefill_uncertainty_j=None,
        decode_uncertainty_j=None,
        prefill_duration_s=duration_s,
        prefill_passes=passes,
        reason=reason,
    )
