"""Energy of prefill and decode, from separate passes.

A prefill pass processes every prompt for its first token only; the energy of the measured
window less that of one prefill pass is the energy of decoding. A phase whose energy does not
stand out of its uncertainty is not resolvable, and null.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from llem_core.contracts.readings import EnergyReading
from llem_core.measure.domains import standard_uncertainty
from llem_core.measure.energy import RecordedEnergy, record_energy
from llem_core.measure.uncertainty import COVERAGE_FACTOR
from llem_core.results.energy import PhaseEnergy

LONGEST_S = 10.0
"""Prefill passes are repeated until they take as long as the window, or this long (s)."""


def phase_energy(
    total: RecordedEnergy,
    reading: EnergyReading | None,
    passes: int,
    uuids: Collection[str],
    device_kind: str,
) -> PhaseEnergy:
    """Divide the energy of the measured window.

    Args:
        total: energy of the measured window.
        reading: of the window that held all prefill passes.
        passes: how many passes that window held.
        uuids: GPUs that the experiment used.
        device_kind: where it ran.
    """
    prefill = record_energy(reading, "the prefill pass has no reading", uuids, device_kind)
    duration_s = reading.duration_s / passes if reading else None
    if total.total_j is None or prefill.total_j is None:
        return _unresolved(total.reason or prefill.reason or "no reading", duration_s, passes)
    if total.method == "estimated":
        return _unresolved("an estimate cannot tell the phases apart", duration_s, passes)
    prefill_j = prefill.total_j / passes
    decode_j = total.total_j - prefill_j
    prefill_standard_j = standard_uncertainty(prefill.used, "comparison") / passes
    total_standard_j = standard_uncertainty(total.used, "comparison")
    prefill_uncertainty_j = COVERAGE_FACTOR * prefill_standard_j
    decode_uncertainty_j = COVERAGE_FACTOR * math.hypot(prefill_standard_j, total_standard_j)
    reasons: list[str] = []
    for name, energy_j, uncertainty_j in (
        ("prefill", prefill_j, prefill_uncertainty_j),
        ("decode", decode_j, decode_uncertainty_j),
    ):
        if energy_j <= uncertainty_j:
            reasons.append(f"{name} ({energy_j:.3g} J) is within its uncertainty")
    return PhaseEnergy(
        prefill_j=prefill_j if prefill_j > prefill_uncertainty_j else None,
        decode_j=decode_j if decode_j > decode_uncertainty_j else None,
        prefill_uncertainty_j=prefill_uncertainty_j,
        decode_uncertainty_j=decode_uncertainty_j,
        prefill_duration_s=duration_s,
        prefill_passes=passes,
        reason=_joined(reasons),
    )


def _joined(reasons: Sequence[str]) -> str | None:
    return "not resolvable: " + "; ".join(reasons) if reasons else None


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
