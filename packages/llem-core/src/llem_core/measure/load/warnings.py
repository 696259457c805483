"""What may be wrong with a window that was cut out of a load."""

from __future__ import annotations

from llem_core.results.load import LoadResult
from llem_core.units import format_duration, format_si

_LATE_S = 5e-3
_COUNTS_DIFFER = 0.01


def load_warnings(load: LoadResult) -> list[str]:
    """Sentences, most important first."""
    found = [_overload(load), _unsteady(load), _failed(load), _late(load), _counts(load)]
    return [*filter(None, found), *_chunks(load), *_throttled(load), *_repeated(load)]


def _overload(load: LoadResult) -> str | None:
    if not load.overloaded:
        return None
    return (
        f"More was offered than served: {load.offered_requests_per_second or 0:.3g} requests/s "
        f"were due and {load.achieved_requests_per_second:.3g} were finished, and the backlog grew "
        f"from {load.backlog_start} to {load.backlog_end} requests. Latencies grow with the "
        "window's length and say nothing of the server; tokens/s and joules are those of a full "
        "one."
    )


def _unsteady(load: LoadResult) -> str | None:
    if load.mode == "trace" or load.overloaded:
        return None
    judged = load.evidence
    if judged is None:
        return "The window is too short to tell whether the load was steady in it."
    if judged.steady:
        return None
    told = [
        f"{name} went from {series.first_half_mean:.3g} to {series.second_half_mean:.3g} between "
        f"the window's halves (p of a trend {series.trend_p or 0:.2g})"
        for name, series in (
            ("requests in flight", judged.requests_in_flight),
            ("output tokens/s", judged.output_tokens_per_second),
        )
        if not series.steady
    ]
    return f"The window was not steady: {'; '.join(told)}. Raise load.ramp_seconds."


def _failed(load: LoadResult) -> str | None:
    if not load.failures:
        return None
    told = ", ".join(f"{n} by {kind}" for kind, n in load.failures.items())
    return f"Requests that were due in the window failed: {told}."


def _late(load: LoadResult) -> str | None:
    late = load.client_lateness
    if late is None or late.p99_s <= _LATE_S:
        return None
    return (
        f"The client was late: it sent requests {format_si(late.p50_s, 's')} (p50), "
        f"{format_si(late.p99_s, 's')} (p99), at most {format_si(late.max_s, 's')} after they "
        "could have been sent. Latencies hold that; give the client more of a core."
    )


def _counts(load: LoadResult) -> str | None:
    check = load.token_check
    if check is None or check.difference is None or abs(check.difference) <= _COUNTS_DIFFER:
        return None
    return (
        f"The engine counted {check.engine_output_tokens:,} output tokens and the client "
        f"{check.client_output_tokens:,} ({check.difference:+.1%}): someone else may use the "
        "engine, or failed requests generated tokens."
    )


def _chunks(load: LoadResult) -> list[str]:
    found = []
    if load.tokens_per_chunk is not None and load.tokens_per_chunk > 1.05:
        found.append(
            f"A chunk held {load.tokens_per_chunk:.2g} tokens in the mean; tokens that came "
            "together share a time, so that inter-token latency is 0 within a chunk."
        )
    if load.tokens_without_times:
        found.append(
            f"{load.tokens_without_times:,} tokens came in chunks that do not tell how many they "
            "hold; they were spread evenly over their request's chunks."
        )
    return found


def _throttled(load: LoadResult) -> list[str]:
    if len(load.windows) < 2:
        return []
    return [
        f"In window {number} of {len(load.windows)} the device lowered its clocks: "
        f"{', '.join(window.throttle_reasons)}."
        for number, window in enumerate(load.windows, start=1)
        if set(window.throttle_reasons) - {"gpu_idle", "applications_clocks_setting"}
    ]


def _repeated(load: LoadResult) -> list[str]:
    found = []
    if load.prompts_repeated:
        found.append(
            f"{load.prompts_repeated:,} of {load.n_sent:,} requests repeat the prompt of an "
            "earlier one: where the engine caches prefixes, their prefill costs less. Raise n."
        )
    if load.ramp_ended_by == "limit":
        found.append(
            f"The load had not become steady when the window opened, after "
            f"{format_duration(load.ramp_s)}."
        )
    return found
