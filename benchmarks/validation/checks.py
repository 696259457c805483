"""The checks, each of which runs its experiments and judges what came out."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llenergymeasure import ExperimentResult

from validation import published
from validation.report import Section, Verdict
from validation.running import Bench, OutOfTime

MOST_DIFFERENCE = 0.05
"""Counter against integral, as a share: the default of ``energy.cross_check_threshold``."""
MOST_VARIATION = 0.03
"""Coefficient of variation of repeats. One of 3 % leaves ±2 % at ten repeats."""
_T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}

Probe = Callable[[], Sequence[Mapping[str, Any]]]


def passport(probe: Probe) -> Section:
    """What the sensor of each device is like, as the sampler's probe finds it."""
    expected = (
        "The probe finds the update periods, the averaging window and the lag of each sensor."
    )
    found = list(probe())
    names = tuple(dict.fromkeys(name for row in found for name in row))
    rows = tuple(tuple(_cell(row.get(name)) for name in names) for row in found)
    verdict = Verdict.HOLDS if found else Verdict.NOT_RUN
    return Section("Sensor passport", expected, verdict, names, rows, raw={"devices": found})


def counter_against_integral(bench: Bench) -> Section:
    """One long window, by the energy counter and by integrating power."""
    title = "Counter against integrated power"
    expected = (
        f"Over {bench.plan.long_window_s:.0f} s or more the two differ by less than "
        f"{MOST_DIFFERENCE:.0%}."
    )
    try:
        result = bench.run(
            "counter-against-integral",
            batch=bench.plan.repeat_batch,
            window_s=bench.plan.long_window_s,
        )
    except OutOfTime as reason:
        return Section(title, expected, Verdict.NOT_RUN, remark=f"{reason}.")
    difference = result.energy_cross_check_difference
    row = (
        f"{result.duration_s:.1f}",
        str(result.energy_method),
        _number(result.energy_total_j),
        _number(result.energy_cross_check_j),
        _percent(difference),
        _number(result.energy_uncertainty_comparison_j),
        _number(result.energy_uncertainty_absolute_j),
    )
    header = ("window s", "method", "energy J", "cross-check J", "difference", "± J same card")
    verdict = _verdict(difference, lambda share: abs(share) <= MOST_DIFFERENCE)
    remark = _why_null(result, "energy_cross_check_j")
    if result.duration_s < bench.plan.long_window_s:
        verdict, remark = Verdict.NOT_RUN, "The window came out shorter than was asked for."
    return Section(
        title,
        expected,
        verdict,
        (*header, "± J absolute"),
        (row,),
        remark,
        {"difference": difference, "warnings": result.measurement_warnings},
    )


def repeats(bench: Bench) -> Section:
    """The same configuration again and again: how far the results scatter."""
    title = "Repeats"
    expected = (
        f"The coefficient of variation of joules per output token over {bench.plan.repeats} "
        f"repeats is below {MOST_VARIATION:.0%} ({published.REPEATABILITY_SOURCE})."
    )
    seen: list[ExperimentResult] = []
    remark = ""
    try:
        for number in range(bench.plan.repeats):
            name = f"repeat-{number + 1}"
            window_s = bench.plan.window_s
            seen.append(bench.run(name, batch=bench.plan.repeat_batch, window_s=window_s))
    except OutOfTime as reason:
        remark = f"Only {len(seen)} of {bench.plan.repeats} repeats: {reason}."
    joules = [r.energy_per_output_token_j for r in seen if r.energy_per_output_token_j is not None]
    if len(joules) < 3:
        return Section(title, expected, Verdict.NOT_RUN, remark=remark or _reasons(seen))
    mean, deviation = statistics.fmean(joules), statistics.stdev(joules)
    half = _T_95.get(len(joules), 2.26) * deviation / math.sqrt(len(joules))
    stated = _stated(seen)
    row = (
        str(len(joules)),
        _number(mean),
        _percent(deviation / mean),
        _percent(half / mean),
        _percent(stated),
        _percent(joules[-1] / joules[0] - 1),
    )
    return Section(
        title,
        expected,
        Verdict.HOLDS if deviation / mean <= MOST_VARIATION else Verdict.FAILS,
        ("repeats", "mean J/token", "CV", "± 95 % of the mean", "stated ± of one", "last to first"),
        (row,),
        remark,
        {"joules_per_output_token": joules, "cv": deviation / mean},
    )


def batches(bench: Bench) -> Section:
    """One model at growing batch sizes: the energy of a token falls."""
    title = "Energy of a token against batch size"
    expected = (
        "Joules per output token fall from each batch size to the next. Ratios are to batch "
        f"{published.FIRST_BATCH}; published ones: {published.REFERENCE}, {published.SOURCE}."
    )
    seen: dict[int, ExperimentResult] = {}
    remark = ""
    try:
        for batch in bench.plan.batches:
            name, window_s = f"batch-{batch}", bench.plan.window_s
            seen[batch] = bench.run(name, batch=batch, window_s=window_s)
    except OutOfTime as reason:
        remark = f"Not all batch sizes: {reason}."
    joules = {b: r.energy_per_output_token_j for b, r in seen.items()}
    known = [j for j in joules.values() if j is not None]
    complete = len(known) == len(bench.plan.batches)
    header = ("batch", "J/token", "± same card", "mean W", "tokens/s", "ratio", "published ratio")
    return Section(
        title,
        expected,
        (Verdict.HOLDS if falls(known) else Verdict.FAILS) if complete else Verdict.NOT_RUN,
        header,
        tuple(_batch_row(batch, seen[batch], joules) for batch in seen),
        " ".join(filter(None, [remark, _reasons(list(seen.values())), _floor(joules)])),
        {"joules_per_output_token": joules},
    )


def phases(bench: Bench) -> Section:
    """Prefill and decode apart, at growing output lengths: the share of prefill falls."""
    title = "Prefill and decode against output length"
    expected = "The share of prefill falls as outputs get longer."
    seen: dict[int, ExperimentResult] = {}
    remark = ""
    try:
        for tokens in bench.plan.phase_outputs:
            seen[tokens] = bench.run(
                f"phases-output-{tokens}",
                batch=bench.plan.repeat_batch,
                window_s=bench.plan.window_s,
                output_tokens=tokens,
                energy={**bench.plan.fields.get("energy", {}), "phase_energy": True},
            )
    except OutOfTime as reason:
        remark = f"Not all output lengths: {reason}."
    shares = {tokens: prefill_share(result) for tokens, result in seen.items()}
    known = [share for share in shares.values() if share is not None]
    complete = len(known) == len(bench.plan.phase_outputs)
    return Section(
        title,
        expected,
        (Verdict.HOLDS if falls(known) else Verdict.FAILS) if complete else Verdict.NOT_RUN,
        (
            "output tokens",
            "prefill J",
            "±",
            "decode J",
            "±",
            "share of prefill",
            "reason of a null",
        ),
        tuple(_phase_row(tokens, result) for tokens, result in seen.items()),
        remark,
        {"prefill_share": shares},
    )


def falls(values: Sequence[float]) -> bool:
    """Whether each value is below the one before."""
    return all(after < before for before, after in itertools.pairwise(values))


def prefill_share(result: ExperimentResult) -> float | None:
    """Energy of prefill over that of the window; ``None`` where either is not known."""
    phases = result.phase_energy
    if phases is None or phases.prefill_j is None or not result.energy_total_j:
        return None
    return phases.prefill_j / result.energy_total_j


def _batch_row(
    batch: int, result: ExperimentResult, joules: Mapping[int, float | None]
) -> tuple[str, ...]:
    first, own = joules.get(published.FIRST_BATCH), joules[batch]
    relative = _stated([result])
    return (
        str(batch),
        _number(own),
        _percent(relative),
        _number(result.mean_power_w),
        _number(result.output_tokens_per_second),
        _number(first / own if first and own else None),
        _number(published.published_ratio(batch)),
    )


def _phase_row(tokens: int, result: ExperimentResult) -> tuple[str, ...]:
    phases = result.phase_energy
    if phases is None:
        return (str(tokens), *["null"] * 5, "not measured")
    return (
        str(tokens),
        _number(phases.prefill_j),
        _number(phases.prefill_uncertainty_j),
        _number(phases.decode_j),
        _number(phases.decode_uncertainty_j),
        _percent(prefill_share(result)),
        phases.reason or "",
    )


def _floor(joules: Mapping[int, float | None]) -> str:
    own = joules.get(1)
    if own is None:
        return ""
    low, high = published.FLOOR_J
    return (
        f"Batch 1: {own:.3g} J/token; the floor is {low} to {high} ({published.FLOOR_SOURCE}), and "
        "a framework's overhead adds to it."
    )


def _stated(results: Sequence[ExperimentResult]) -> float | None:
    """Mean stated comparison uncertainty as a share of the energy."""
    shares = [
        r.energy_uncertainty_comparison_j / r.energy_total_j
        for r in results
        if r.energy_uncertainty_comparison_j is not None and r.energy_total_j
    ]
    return statistics.fmean(shares) if shares else None


def _reasons(results: Sequence[ExperimentResult]) -> str:
    """Why energies are missing, each reason once."""
    return " ".join(dict.fromkeys(filter(None, (_why_null(r, "energy_total_j") for r in results))))


def _why_null(result: ExperimentResult, name: str) -> str:
    reason = result.missing_reason(name)
    return f"`{name}` is null: {reason}." if reason else ""


def _verdict(value: float | None, holds: Callable[[float], bool]) -> Verdict:
    if value is None:
        return Verdict.NOT_RUN
    return Verdict.HOLDS if holds(value) else Verdict.FAILS


def _number(value: float | None) -> str:
    return "null" if value is None else f"{value:.4g}"


def _percent(share: float | None) -> str:
    return "null" if share is None else f"{share:.2%}"


def _cell(value: object) -> str:
    return _number(value) if isinstance(value, float) else str(value)
