"""The figures of a load's window."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from llem_core.config.load import SloConfig
from llem_core.contracts.backend import DeviceInfo, ModelInfo
from llem_core.contracts.sampler import EnergyReading, UsedDevices
from llem_core.measure.energy.totals import RecordedEnergy, record_energy
from llem_core.measure.load.attribution import HOW
from llem_core.measure.load.driver import Flight
from llem_core.measure.load.observed import Interval, ObservedLoad, failure
from llem_core.measure.load.record import LoadRecord
from llem_core.measure.load.steady import backlog_grew, evidence, mean_by_third, n_points
from llem_core.measure.result.flops import FlopsEstimator
from llem_core.measure.result.timeseries import thermal_record
from llem_core.results.aggregate import Aggregate, latencies
from llem_core.results.latency import latency_statistics
from llem_core.results.load import LoadResult, SteadyEvidence, TokenCheck, WindowResult
from llem_core.results.model import FlopsResult
from llem_core.results.process import ProcessResult, RequestRecord

_SHORTEST_JUDGED_S = 2.0


def aggregate_load(record: LoadRecord, process: ProcessResult) -> Aggregate:
    """The figures of a window, in the form that those of batches have.

    Latencies are those of the requests that were due in the window, tokens those that arrived in
    it, and requests those that were over in it.
    """
    window = record.window
    due = [r for r in process.requests if r.in_window]
    well = [r for r in due if r.error is None]
    prefilled_tokens = sum(r.input_tokens for r in _prefilled(record, process))
    missing = process.times_missing_reason if not any(r.token_times_s for r in well) else None
    if not well:
        missing = "no request that was due in the window was finished"
    return Aggregate(
        started_s=window.started_s,
        ended_s=window.ended_s,
        input_tokens=prefilled_tokens,
        output_tokens=record.observed.output_tokens(window),
        padded_tokens=prefilled_tokens,
        truncated=process.truncated,
        requests=tuple(_finished(process, window)),
        failed=tuple(r for r in due if r.error is not None),
        **latencies(well),
        times_missing_reason=missing,
        weights_bytes=process.weights_bytes,
        peak_memory_bytes=process.peak_memory_bytes,
        memory_reason=process.memory_reason,
    )


def _finished(process: ProcessResult, window: Interval) -> list[RequestRecord]:
    """Requests that were over in the window, and did not fail."""
    return [r for r in process.requests if r.error is None and r.ended_s in window]


def _prefilled(record: LoadRecord, process: ProcessResult) -> list[RequestRecord]:
    """Requests whose first token arrived in the window."""
    times = record.observed.tokens
    return [
        r
        for r in process.requests
        if times[r.index].times_s and times[r.index].times_s[0] in record.window
    ]


def load_flops(
    record: LoadRecord, process: ProcessResult, info: ModelInfo, devices: Sequence[DeviceInfo]
) -> FlopsResult:
    """FLOP of the tokens that arrived in the window.

    Of a request that was under way at an edge only the tokens inside are counted: what it had
    computed by the window's end, less what it had computed by its start.
    """
    window, observed = record.window, record.observed
    before = Interval(float("-inf"), window.started_s)
    until = Interval(float("-inf"), window.ended_s)
    estimator = FlopsEstimator(info)

    def computed(interval: Interval) -> FlopsResult:
        counts = [
            (r.input_tokens, n)
            for r in process.requests
            if (n := observed.tokens[r.index].within(interval))
        ]
        return estimator.estimate(
            [n_in for n_in, _ in counts],
            [n_out for _, n_out in counts],
            padded_input_tokens=0,
            duration_s=window.duration_s,
            devices=devices,
        )

    later, earlier = computed(until), computed(before)
    changed = {
        name: getattr(later, name) - getattr(earlier, name)
        for name in FlopsResult.model_fields
        if isinstance(getattr(later, name), float) and name not in _NOT_ADDITIVE
    }
    total = changed.get("total_flops")
    peak = later.peak_flops_per_second
    if total is not None:
        rate = total / window.duration_s
        changed["flops_per_second"] = rate
        changed["model_flops_utilisation"] = rate / peak if peak else None
    return later.model_copy(update=changed)


_NOT_ADDITIVE = {"flops_per_second", "peak_flops_per_second", "model_flops_utilisation"}


def load_result(
    record: LoadRecord, process: ProcessResult, energy: RecordedEnergy, devices: UsedDevices
) -> LoadResult:
    """What was offered and served in the window, and at what price."""
    window, observed, load = record.window, record.observed, record.load
    length_s = window.duration_s
    due = observed.due_within(window)
    finished = _finished(process, window)
    whole = observed.points(window, 1)[0]
    judged = _evidence(observed, window)
    backlog = observed.backlog(window.started_s), observed.backlog(window.ended_s)
    n_good, attainment = _goodness(load.slo, process, finished)
    total_j = energy.total_j
    output_tokens = observed.output_tokens(window)
    windows = [_part(record, part, reading, devices, energy) for part, reading in record.parts]
    spread, chunks = _chunks(observed, window)
    return LoadResult(
        mode=load.mode,
        concurrency_limit=load.concurrency,
        offered_requests_per_second=(
            None if load.mode == "closed" else (len(due) + record.n_unsent) / length_s
        ),
        achieved_requests_per_second=len(finished) / length_s,
        mean_concurrency=whole.requests_in_flight,
        peak_concurrency=observed.in_flight_peak(window),
        n_started=len(due),
        n_sent=len(observed.flights),
        prompts_repeated=len(observed.flights) - len({f.position for f in observed.flights}),
        backlog_start=backlog[0],
        backlog_end=backlog[1] + record.n_unsent,
        overloaded=load.mode != "closed"
        and _overloaded(observed, window, backlog[1] + record.n_unsent - backlog[0], len(due)),
        n_good=n_good,
        goodput_requests_per_second=None if n_good is None else n_good / length_s,
        slo_attainment=attainment,
        energy_per_good_request_j=total_j / n_good if total_j is not None and n_good else None,
        failures=_failures(due, record.n_unsent),
        client_lateness=latency_statistics(flight.late_s for flight in due),
        client_cpu_s=record.client_cpu_s,
        client_cpu_per_1000_tokens_s=(
            None
            if record.client_cpu_s is None or not output_tokens
            else record.client_cpu_s / output_tokens * 1000
        ),
        tokens_without_times=spread,
        tokens_per_chunk=chunks,
        ramp_s=record.ramp_s,
        ramp_ended_by=record.ramp_ended_by,
        evidence=judged,
        windows=windows,
        energy_per_output_token_cv=_scatter(windows),
        token_check=_token_check(record),
        energy_attribution=None if total_j is None else HOW,
    )


def _evidence(observed: ObservedLoad, window: Interval) -> SteadyEvidence | None:
    if window.duration_s < _SHORTEST_JUDGED_S:
        return None
    points = observed.points(window, n_points(window.duration_s))
    in_flight = [point.requests_in_flight for point in points]
    return evidence(
        in_flight, [p.output_tokens / p.duration_s for p in points], points[0].duration_s
    )


def _overloaded(observed: ObservedLoad, window: Interval, growth: int, n_due: int) -> bool:
    """Whether the backlog grew by more than chance, and through all of the window."""
    if not backlog_grew(growth, n_due):
        return False
    points = observed.points(window, n_points(window.duration_s))
    backlog = [p.requests_in_flight + p.requests_waiting for p in points]
    first, second, last = mean_by_third(backlog)
    return first < second < last


def _goodness(
    slo: SloConfig | None, process: ProcessResult, finished: Sequence[RequestRecord]
) -> tuple[int | None, float | None]:
    if slo is None:
        return None, None
    due = [r for r in process.requests if r.in_window]
    kept = sum(_is_good(r, slo) for r in due)
    return sum(_is_good(r, slo) for r in finished), kept / len(due) if due else None


def _is_good(request: RequestRecord, slo: SloConfig) -> bool:
    """Whether it kept every limit; a limit on what is not known of it is not kept.

    A single token has no time per output token, and keeps any limit on it.
    """
    if request.error is not None:
        return False
    limits = (
        (slo.ttft_ms, request.time_to_first_token_s, 1e-3),
        (slo.tpot_ms, request.time_per_output_token_s, 1e-3),
        (slo.e2e_s, request.end_to_end_s, 1.0),
    )
    for limit, value_s, unit in limits:
        if limit is None or (limit is slo.tpot_ms and request.output_tokens < 2):
            continue
        if value_s is None or value_s > limit * unit:
            return False
    return True


def _failures(due: Sequence[Flight], n_unsent: int) -> dict[str, int]:
    kinds = Counter(kind for flight in due if (kind := failure(flight)[1]) is not None)
    unfinished = sum(flight.output is None for flight in due)
    kinds.update({"not over at the end": unfinished, "not sent before the end": n_unsent})
    return {kind: n for kind, n in sorted(kinds.items()) if n}


def _part(
    record: LoadRecord,
    part: Interval,
    reading: EnergyReading | None,
    devices: UsedDevices,
    whole: RecordedEnergy,
) -> WindowResult:
    tokens = record.observed.output_tokens(part)
    energy = whole
    if len(record.parts) > 1:
        energy = record_energy(reading, whole.reason, devices)
    total_j = None if whole.total_j is None else energy.total_j
    used = {domain.name for domain in whole.used}
    samples = [
        s for _, each in record.parts if each is not None for s in each.samples if s.time_s in part
    ]
    thermal = thermal_record(samples, used)
    return WindowResult(
        duration_s=part.duration_s,
        output_tokens=tokens,
        output_tokens_per_second=tokens / part.duration_s,
        energy_j=total_j,
        energy_per_output_token_j=total_j / tokens if total_j is not None and tokens else None,
        reason=None if total_j is not None else energy.reason or whole.reason or "no energy",
        throttle_reasons=sorted(thermal.throttle_reasons or {}) if thermal else [],
    )


def _scatter(windows: Sequence[WindowResult]) -> float | None:
    values = [w.energy_per_output_token_j for w in windows]
    known = [value for value in values if value is not None]
    if len(known) < 2 or not (mean := statistics.fmean(known)):
        return None
    return statistics.stdev(known) / mean


def _chunks(observed: ObservedLoad, window: Interval) -> tuple[int, float | None]:
    """Tokens in the window whose chunks told no counts, and tokens per chunk."""
    spread = sum(t.within(window) for t in observed.tokens if t.spread)
    chunks = sum(t.n_chunks for t in observed.tokens)
    n_tokens = sum(len(t.times_s) for t in observed.tokens if t.n_chunks)
    return spread, n_tokens / chunks if chunks else None


def _token_check(record: LoadRecord) -> TokenCheck | None:
    before, after = (
        counters.get("output_tokens")
        for counters in (record.counters_before, record.counters_after)
    )
    if before is None or after is None:
        return None
    mine = sum(len(tokens.times_s) for tokens in record.observed.tokens)
    theirs = round(after - before)
    return TokenCheck(
        engine_output_tokens=theirs,
        client_output_tokens=mine,
        difference=(theirs - mine) / mine if mine else None,
    )
