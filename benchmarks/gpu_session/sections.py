"""The report's part of each step: what it decides, and what was found."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from validation.published import FIRST_BATCH, FLOOR_J, FLOOR_SOURCE, SOURCE, published_ratio
from validation.report import table

Facts = Mapping[str, Any]
Earlier = Mapping[str, Facts]


@dataclass(frozen=True, slots=True)
class Part:
    """One step in the report.

    Attributes:
        title: its heading.
        decides: what its figures decide, as a sentence.
        lines: Markdown of its facts, and of those of all steps by name.
    """

    title: str
    decides: str
    lines: Callable[[Facts, Earlier], list[str]]


def number(value: object) -> str:
    """A figure with four digits; null and texts as they are."""
    if value is None:
        return "null"
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def percent(value: float | None) -> str:
    """A share."""
    return "null" if value is None else f"{value:+.2%}"


def _facts(facts: Facts, _: Earlier) -> list[str]:
    torch = facts.get("torch", {})
    rows = [
        *(
            (f"torch device {i}", _listed(device))
            for i, device in enumerate(torch.get("devices", ()))
        ),
        ("torch", f"{torch.get('torch')} (CUDA {torch.get('cuda')})"),
        ("backends", ", ".join(facts.get("backends", ()))),
        *((f"sampler {name}", reason) for name, reason in facts.get("samplers", {}).items()),
        ("needs that are not met", "; ".join(facts.get("unmet", ())) or "none"),
        ("plugins that do not load", "; ".join(facts.get("plugin_problems", ())) or "none"),
    ]
    return table(("", ""), [(name, str(value)) for name, value in rows])


def _calls(facts: Facts, _: Earlier) -> list[str]:
    header = ("call", "value", "type", "error", "calls", "median µs", "longest µs")
    names = ("name", "value", "type", "error", "calls", "median_us", "longest_us")
    rows = [*facts.get("calls", ()), *facts.get("fields", ())]
    return table(header, [[_cell(row.get(name)) for name in names] for row in rows])


def _trace(facts: Facts, _: Earlier) -> list[str]:
    names = ("part", "reads", "length_s", "counter_w", "instant_w", "average_w", "legacy_w")
    header = ("part", "reads", "s", "counter W", "instant W", "average W", "legacy W")
    lines = table(header, [[_cell(row[n]) for n in names] for row in facts.get("parts", ())])
    probed = {k: v for device in facts.get("probe", ()) for k, v in device["values"].items()}
    reasons = {k: v for device in facts.get("probe", ()) for k, v in device["reasons"].items()}
    read = facts.get("update_ms", {})
    pairs = (
        ("counter refresh ms", read.get("counter_mj"), "counter_refresh_ms"),
        ("power update ms", read.get("instant_mw"), "power_update_ms"),
        ("power window ms", None, "power_window_ms"),
        ("power lag ms", None, "power_lag_ms"),
        ("counter lag ms", None, "counter_lag_ms"),
    )
    rows = [
        (what, number(own), number(probed.get(n)), reasons.get(n, "")) for what, own, n in pairs
    ]
    lines += ["", *table(("", "read off the trace", "by our probe", "why null"), rows)]
    rises = facts.get("rise_ms", {})
    lines += [
        "",
        "Nine tenths of the last power after the start of the load: " + _listed(rises) + " (ms).",
    ]
    lines += [
        f"Processes on the device without a context: {facts.get('processes_without_context')}, "
        f"with one: {facts.get('processes_with_context')}; this one is {facts.get('own_pid')}."
    ]
    return lines


def _tests(facts: Facts, _: Earlier) -> list[str]:
    names = ("test", "outcome", "took_s", "message")
    rows = [[_cell(row[name]) for name in names] for row in facts.get("tests", ())]
    return table(("test", "outcome", "s", "message"), rows)


def _recorder(facts: Facts, _: Earlier) -> list[str]:
    took_s, cost = facts.get("took_s", {}), facts.get("cost", {})
    rows = [
        (
            name,
            str(len(values)),
            number(statistics.median(values)),
            number(max(values)),
            percent(cost[name]),
        )
        for name, values in took_s.items()
    ]
    lines = table(("generate", "times", "median s", "longest s", "beside bare"), rows)
    apart = facts.get("events_less_host_us")
    if apart:
        lines += [
            "",
            f"Token times by the recorder less those of a host that waited: median "
            f"{statistics.median(apart):.1f} µs, from {min(apart):.1f} to {max(apart):.1f} µs "
            f"over {len(apart)} tokens.",
        ]
    return lines


RESULT_HEADER = (
    *("", "window s", "method", "J", "J/token", "± same card", "cross-check", "mean W"),
    "tokens/s",
)


def result_row(name: str, result: Facts) -> tuple[str, ...]:
    """A result as a row of the table that all measuring steps share."""
    total_j, half_j = result["energy_total_j"], result["energy_uncertainty_comparison_j"]
    return (
        name,
        number(result["duration_s"]),
        str(result["energy_method"]),
        number(total_j),
        number(result["energy_per_output_token_j"]),
        "null" if not total_j or half_j is None else f"±{half_j / total_j:.2%}",
        percent(result["energy_cross_check_difference"]),
        number(result["mean_power_w"]),
        number(result["output_tokens_per_second"]),
    )


def _results(facts: Facts) -> dict[str, Facts]:
    return {k: v for k, v in facts.items() if isinstance(v, Mapping) and "duration_s" in v}


def _window(facts: Facts, _: Earlier) -> list[str]:
    lines = table(RESULT_HEADER, [result_row(n, r) for n, r in _results(facts).items()])
    for result in _results(facts).values():
        rows = [
            (when, *(number(found[name]) for name in ("power_w", "spread_w", "trend_w")))
            for when, found in (
                ("before load", result["baseline"]),
                ("model loaded", result["loaded_baseline"]),
            )
            if found
        ]
        lines += ["", *table(("baseline", "W", "spread W", "trend W"), rows)]
        lines += ["", *(f"- {warning}" for warning in result["measurement_warnings"])]
    return lines


def _batches(facts: Facts, earlier: Earlier) -> list[str]:
    found = {r["batch"]: r for r in _results(facts).values()}
    found |= {r["batch"]: r for r in _results(earlier.get("window", {})).values()}
    first = found.get(FIRST_BATCH, {}).get("energy_per_output_token_j")
    rows = []
    for batch in sorted(found):
        own, published = found[batch]["energy_per_output_token_j"], published_ratio(batch)
        ratio = first / own if first and own else None
        rows.append((*result_row(f"batch {batch}", found[batch]), number(ratio), number(published)))
    lines = table((*RESULT_HEADER, "ratio", "published ratio"), rows)
    lines += ["", f"Ratios are to batch {FIRST_BATCH}. Published: {SOURCE}."]
    lines += [f"The floor at batch 1 is {FLOOR_J[0]} to {FLOOR_J[1]} J/token: {FLOOR_SOURCE}."]
    return lines + _not_run(facts)


def _repeats(facts: Facts, earlier: Earlier) -> list[str]:
    found = {**_results(earlier.get("window", {})), **_results(facts)}
    lines = table(RESULT_HEADER, [result_row(name, found[name]) for name in found])
    joules = [r["energy_per_output_token_j"] for r in _results(facts).values()]
    if len(joules) > 1 and None not in joules:
        apart = max(joules) / min(joules) - 1
        lines += ["", f"The repeats lie {apart:.2%} apart in J/token."]
    return lines + _not_run(facts)


def _phases(facts: Facts, _: Earlier) -> list[str]:
    rows = []
    for name, result in _results(facts).items():
        phases = result["phase_energy"] or {}
        total_j, prefill_j = result["energy_total_j"], phases.get("prefill_j")
        share = prefill_j / total_j if prefill_j is not None and total_j else None
        names = ("prefill_j", "prefill_uncertainty_j", "decode_j", "decode_uncertainty_j")
        figures = [number(phases.get(each)) for each in names]
        rows.append((name, *figures, number(share), phases.get("reason") or ""))
    header = ("", "prefill J", "±", "decode J", "±", "share of prefill", "why null")
    return [*table(header, rows), *_not_run(facts)]


def _compile(facts: Facts, _: Earlier) -> list[str]:
    rows = []
    for name, found in facts.items():
        if "error" in found:
            rows.append((name, number(found["took_s"]), "", "", "", "", found["error"][:300]))
            continue
        first, whole = found["time_to_first_token"], found["end_to_end_latency"]
        rows.append(
            (
                name,
                number(found["took_s"]),
                number(found["output_tokens_per_second"]),
                number(first and first["max_s"]),
                number(whole and whole["min_s"]),
                number(whole and whole["max_s"]),
                "",
            )
        )
    header = ("", "all s", "tokens/s", "longest TTFT s", "least e2e s", "longest e2e s", "error")
    note = (
        "The last batch is half full: a longest latency far above the least is a compilation "
        "in the window."
    )
    return [*table(header, rows), "", note]


def _not_run(facts: Facts) -> list[str]:
    return ["", f"No time was left for: {facts['not_run']}."] if "not_run" in facts else []


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in values.items())


def _cell(value: object) -> str:
    return "" if value is None else number(value).replace("\n", " ")


PARTS: dict[str, Part] = {
    "facts": Part(
        "The machine",
        "Whether driver, torch and our plugins see the same card.",
        _facts,
    ),
    "calls": Part(
        "NVML calls",
        "Whether each call that the sampler makes is supported, what type the power fields have at "
        "each scope, and what a sample costs.",
        _calls,
    ),
    "trace": Part(
        "Raw trace and probe",
        "Update periods, averaging and delay of each sensor, and whether our probe finds the same.",
        _trace,
    ),
    "tests": Part("Tests on the card", "Whether the project's GPU tests pass.", _tests),
    "recorder": Part(
        "Cost of recorder and sampler",
        "Whether token times by CUDA events are true, and whether taking them, or sampling, slows "
        "the work that is measured.",
        _recorder,
    ),
    "window": Part(
        "Counter against integral",
        "Whether the two agree over a long window, and whether the baselines pass the idle check.",
        _window,
    ),
    "batches": Part(
        "Energy of a token against batch size",
        "Whether joules per token fall with the batch as published ones do.",
        _batches,
    ),
    "repeats": Part("Repeats", "Whether the stated comparison uncertainty is credible.", _repeats),
    "phases": Part(
        "Prefill and decode",
        "Whether the share of prefill falls as outputs get longer.",
        _phases,
    ),
    "compile": Part(
        "Compiled, with a partial last batch",
        "Whether compilation falls into the window.",
        _compile,
    ),
}
"""Step to its part of the report."""
