"""What a researcher wants of one experiment at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llem_core.results.latency import LatencyStatistics
from llem_core.results.load import LoadResult
from llem_core.results.views.block import Block, rate
from llem_core.results.views.energy import energy_block, energy_reason
from llem_core.units import format_bytes, format_duration, format_si

if TYPE_CHECKING:
    from llem_core.results.experiment import ExperimentResult


def experiment_blocks(result: ExperimentResult) -> list[Block]:
    """The blocks of one experiment, in their order; some may be empty."""
    return [
        _experiment(result),
        energy_block(result),
        _load(result),
        _speed(result),
        _memory(result),
        _compute(result),
        _warnings(result),
    ]


def _experiment(result: ExperimentResult) -> Block:
    record = result.model_record
    block = Block("Experiment", f"configuration {result.measurement_config_hash}")
    random = " (random weights)" if record.random_weights else ""
    block.add("model", f"{result.model}{random}")
    block.add("backend", result.backend)
    block.add("device", ", ".join(record.devices) or "unknown")
    block.add("dtype", record.dtype or "unknown")
    size = _batch_size(result)
    block.add("batch size", None if size is None else str(size))
    if len(result.processes) > 1:
        block.add("processes", str(len(result.processes)))
    block.add("requests", f"{result.n_requests:,}")
    block.add("tokens", f"{result.input_tokens:,} in, {result.output_tokens:,} out")
    block.add("measured for", format_duration(result.duration_s))
    return block


def _batch_size(result: ExperimentResult) -> Any:
    """What the engine says it used, else what was configured."""
    effective = result.effective_config
    chosen = effective.get("effective", {}).get("batch_size")
    section = effective.get(result.backend)
    return chosen or (section.get("batch_size") if isinstance(section, dict) else None)


def _speed(result: ExperimentResult) -> Block:
    block = Block("Speed")
    block.add("output tokens", f"{rate(result.output_tokens_per_second)} tokens/s")
    block.add("requests", f"{rate(result.requests_per_second)} requests/s")
    for label, name in (
        ("time to first token", "time_to_first_token"),
        ("between tokens", "inter_token_latency"),
        ("time per output token", "time_per_output_token"),
        ("end to end", "end_to_end_latency"),
    ):
        statistics: LatencyStatistics | None = getattr(result, name)
        if statistics is None:
            block.add(label, f"none: {result.missing_reason(name)}")
        else:
            block.add(label, _latency(statistics))
    return block


def _load(result: ExperimentResult) -> Block:
    load = result.load
    if load is None:
        return Block("Load")
    block = Block("Load", load.mode)
    block.add(
        "in flight", f"{load.mean_concurrency:.3g} in the mean, at most {load.peak_concurrency}"
    )
    if load.offered_requests_per_second is not None:
        block.add("offered", f"{rate(load.offered_requests_per_second)} requests/s")
    over = ": overloaded" if load.overloaded else ""
    block.add("served", f"{rate(load.achieved_requests_per_second)} requests/s{over}")
    if load.goodput_requests_per_second is not None:
        block.add("within the SLO", _goodput(load))
    block.add("steady", _steady(load))
    if load.energy_per_output_token_cv is not None:
        told = f"{load.energy_per_output_token_cv:.2%} (coefficient of variation of J per token)"
        block.add(f"scatter of {len(load.windows)}", told)
    failed = ", ".join(f"{n} by {kind}" for kind, n in load.failures.items())
    block.add("failed", failed or None)
    late = load.client_lateness
    if late is not None:
        block.add(
            "client late by", f"p50 {format_si(late.p50_s, 's')}, p99 {format_si(late.p99_s, 's')}"
        )
    return block


def _goodput(load: LoadResult) -> str:
    told = f"{rate(load.goodput_requests_per_second or 0.0)} requests/s"
    if load.slo_attainment is not None:
        told += f", {load.slo_attainment:.1%} of requests"
    if load.energy_per_good_request_j is not None:
        told += f", {format_si(load.energy_per_good_request_j, 'J')} each"
    return told


def _steady(load: LoadResult) -> str:
    judged = load.evidence
    if judged is None:
        return "unknown: the window is too short to tell"
    drift = judged.output_tokens_per_second.difference or 0.0
    verdict = "yes" if judged.steady else "no"
    return f"{verdict} (tokens/s {drift:+.1%} between the window's halves)"


def _latency(statistics: LatencyStatistics) -> str:
    shown = (("p50", statistics.p50_s), ("p95", statistics.p95_s), ("mean", statistics.mean_s))
    return ", ".join(f"{name} {format_si(value_s, 's')}" for name, value_s in shown)


def _memory(result: ExperimentResult) -> Block:
    block = Block("Memory")
    for label, name in (("peak", "peak_memory_bytes"), ("weights", "weights_memory_bytes")):
        size_bytes: int | None = getattr(result, name)
        if size_bytes is None:
            block.add(label, f"none: {result.missing_reason(name)}")
        else:
            block.add(label, format_bytes(size_bytes))
    if result.peak_memory_bytes is not None:
        block.add("peak read from", result.memory_source)
    return block


def _compute(result: ExperimentResult) -> Block:
    flops = result.flops
    block = Block("Compute")
    if flops.flops_per_second is None:
        return block
    block.add(
        "rate", f"{format_si(flops.flops_per_second, 'FLOP/s')} ({flops.confidence} confidence)"
    )
    if flops.model_flops_utilisation is not None and flops.peak_flops_per_second is not None:
        peak = format_si(flops.peak_flops_per_second, "FLOP/s")
        block.add("utilisation (MFU)", f"{flops.model_flops_utilisation:.2%} of {peak}")
    return block


def _warnings(result: ExperimentResult) -> Block:
    # The block on energy gives this reason already.
    said = f"Energy was not measured: {energy_reason(result)}"
    warnings = [text for text in result.measurement_warnings if " ".join(text.split()) != said]
    block = Block("Warnings", items=warnings)
    if block.items and result.energy_method == "estimated":
        block.remark = "(all energies and powers in them are estimated)"
    return block
