"""The energy fields of a result, and the reason of each that is null."""

from __future__ import annotations

from typing import Any

from llem_core.measure.energy.totals import RecordedEnergy
from llem_core.measure.energy.uncertainty import budget
from llem_core.measure.result.observations import Observations
from llem_core.measure.result.timeseries import peak_power
from llem_core.results.aggregate import Aggregate
from llem_core.results.energy import BaselinePower


def energy_fields(
    measured: Observations,
    aggregate: Aggregate,
    energy: RecordedEnergy,
    baseline: BaselinePower | None,
    loaded: BaselinePower | None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Energy, power and uncertainty, with the reasons of those that are null.

    The energy is that of the sampler's window, which holds the first start and the last end
    of all processes; the baseline is subtracted over the length of that same window.
    """
    window_s = measured.window.duration_s if measured.window else aggregate.duration_s
    total_j = energy.total_j
    loaded_w = loaded.power_w if loaded else None
    adjusted_j = None if total_j is None or loaded_w is None else total_j - loaded_w * window_s
    samples = measured.window.samples if measured.window else ()
    names = {domain.name for domain in energy.used}
    terms = budget(energy.used, loaded, window_s)
    check_j = energy.cross_check_j if measured.config.energy.cross_check else None
    fields: dict[str, Any] = {
        "energy_source": measured.energy_source if energy.breakdown else None,
        "energy_method": energy.method,
        "energy_scope": [domain.name for domain in energy.used],
        "energy_total_j": total_j,
        "energy_adjusted_j": adjusted_j,
        "energy_per_output_token_j": _per(total_j, aggregate.output_tokens),
        "energy_adjusted_per_output_token_j": _per(adjusted_j, aggregate.output_tokens),
        "energy_per_request_j": _per(total_j, len(aggregate.requests)),
        "energy_per_device_j": {
            d.name: d.energy_j
            for d in (energy.breakdown.domains if energy.breakdown else [])
            if d.used
        },
        "energy_breakdown": energy.breakdown,
        "energy_uncertainty_comparison_j": terms.comparison_j if terms else None,
        "energy_uncertainty_absolute_j": terms.absolute_j if terms else None,
        "uncertainty": terms,
        "energy_cross_check_j": check_j,
        "energy_cross_check_difference": _difference(check_j, total_j),
        "mean_power_w": None if total_j is None else total_j / window_s,
        "peak_power_w": peak_power(samples, names),
        "baseline_power_w": baseline.power_w if baseline else None,
        "loaded_baseline_power_w": loaded_w,
        "baseline": baseline,
        "loaded_baseline": loaded,
        "sensor": dict(measured.window.sensor) if measured.window else {},
    }
    return fields, _reasons(measured, energy, baseline, loaded, fields)


def _reasons(
    measured: Observations,
    energy: RecordedEnergy,
    baseline: BaselinePower | None,
    loaded: BaselinePower | None,
    fields: dict[str, Any],
) -> dict[str, str]:
    no_total = energy.reason or "no energy"
    no_loaded = _no_baseline(measured, loaded)
    has_total = energy.total_j is not None
    estimated = energy.method == "estimated"
    no_tokens = "there are no output tokens"
    no_adjusted = no_loaded if has_total else no_total
    silent = [d.label or d.name for d in energy.used if not d.uncertainty]
    no_uncertainty = (
        "an estimate has no known uncertainty"
        if estimated
        else f"the sampler states none for {', '.join(silent)}"
    )
    unchecked = [d.label or d.name for d in energy.used if d.cross_check_j is None]
    off = not measured.config.energy.cross_check
    reasons = {
        "energy_total_j": no_total,
        "energy_adjusted_j": no_adjusted,
        "energy_per_output_token_j": no_tokens if has_total else no_total,
        "energy_adjusted_per_output_token_j": (
            no_adjusted if fields["energy_adjusted_j"] is None else no_tokens
        ),
        "energy_per_request_j": no_total,
        "energy_uncertainty_comparison_j": no_uncertainty if has_total else no_total,
        "energy_uncertainty_absolute_j": no_uncertainty if has_total else no_total,
        "energy_cross_check_j": "energy.cross_check is off"
        if off
        else f"the sampler has no second method for {', '.join(unchecked)}"
        if has_total
        else no_total,
        "mean_power_w": no_total,
        "peak_power_w": "the sampler gave no power samples in the window"
        if has_total
        else no_total,
        "baseline_power_w": measured.no_baseline_reason or _no_baseline(measured, baseline),
        "loaded_baseline_power_w": no_loaded,
    }
    return {name: reason for name, reason in reasons.items() if fields[name] is None}


def _no_baseline(measured: Observations, idle: BaselinePower | None) -> str:
    if idle is not None:
        return idle.reason or "the baseline has no reading"
    if not measured.config.baseline.enabled:
        return "baseline.enabled is false"
    return measured.no_energy_reason or "the baseline has no reading"


def _per(energy_j: float | None, count: int) -> float | None:
    return None if energy_j is None or count == 0 else energy_j / count


def _difference(check_j: float | None, total_j: float | None) -> float | None:
    return None if check_j is None or not total_j else (check_j - total_j) / total_j
