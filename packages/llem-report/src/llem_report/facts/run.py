"""All facts on one run that is shown in detail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llem_core.results.experiment import LATENCIES, ExperimentResult
from llem_core.results.latency import LatencyStatistics
from llem_core.results.load import LoadResult
from llem_core.units import format_bytes, format_duration, format_si

from llem_report.facts.energy import energy_sections, listed_value
from llem_report.facts.parts import Collector, Section, Table
from llem_report.sources.detail import Detail
from llem_report.sources.run import settings_of


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts on one run.

    Attributes:
        name: what its configuration is called in the report.
        folder: where it lies.
        cycle: its repetition; ``None`` outside a study.
        sections: the facts.
    """

    name: str
    folder: str
    cycle: int | None
    sections: tuple[Section, ...]


_LATENCY_LABELS = dict(
    zip(
        LATENCIES,
        (
            *("waiting in the engine", "time to first token", "between tokens"),
            *("time per output token", "end to end"),
        ),
        strict=True,
    )
)


def run_facts(detail: Detail) -> RunFacts:
    """Everything that a reader may ask of one run."""
    result = detail.result
    found = [
        _what(result),
        *energy_sections(result),
        *([_load(result.load, _word(result))] if result.load else []),
        _speed(result),
        _memory_and_compute(result),
        _warm_up(result),
        _thermal(result),
        *_environment(result),
        _settings(result),
        Section(
            "Warnings",
            items=(*_energy_word(result), *result.measurement_warnings, *detail.remarks),
        ),
    ]
    return RunFacts(
        name=detail.name,
        folder=str(detail.run.folder),
        cycle=detail.run.cycle,
        sections=tuple(section for section in found if section),
    )


def _energy_word(result: ExperimentResult) -> Iterator[str]:
    if result.energy_method == "estimated":
        yield "All energies and powers of this run, those in its warnings included, are estimated."


def _word(result: ExperimentResult) -> str:
    return " (estimated)" if result.energy_method == "estimated" else ""


def _what(result: ExperimentResult) -> Section:
    record = result.model_record
    section = Collector("What was run")
    random = " (random weights)" if record.random_weights else ""
    section.add("configuration", result.measurement_config_hash, "measurement_config_hash")
    section.add("model", f"{result.model}{random}", "model", result.model)
    section.add("backend", result.backend, "backend", result.backend)
    section.add("devices", ", ".join(record.devices) or "unknown")
    section.add("dtype of the weights", record.dtype or "unknown", "dtype", record.dtype)
    if record.parameters is not None:
        section.add(
            "parameters", format_si(record.parameters, "").strip(), "parameters", record.parameters
        )
    section.add("started", result.started_at, "started_at", result.started_at)
    failed = f", {result.n_failed_requests:,} failed" if result.n_failed_requests else ""
    section.add(
        "requests", f"{result.n_requests:,} finished{failed}", "n_requests", result.n_requests
    )
    tokens = f"{result.input_tokens:,} in, {result.output_tokens:,} out"
    section.add("tokens", tokens, "output_tokens", result.output_tokens)
    if result.truncated_prompts:
        section.add("prompts cut", f"{result.truncated_prompts:,}", "truncated_prompts")
    window = format_duration(result.duration_s)
    section.add("measured for", window, "duration_s", result.duration_s)
    section.add("prompts (SHA-256)", result.dataset_sha256, "dataset_sha256")
    return section.section()


def _speed(result: ExperimentResult) -> Section:
    section = Collector("Speed")
    for label, name, unit in (
        ("output tokens", "output_tokens_per_second", "tokens/s"),
        ("requests", "requests_per_second", "requests/s"),
    ):
        value = getattr(result, name)
        section.add(label, f"{value:,.4g} {unit}", name, value)
    rows = []
    for name, label in _LATENCY_LABELS.items():
        statistics: LatencyStatistics | None = getattr(result, name)
        if statistics is None:
            section.add(label, f"none: {result.missing_reason(name)}", name)
            continue
        shown = [statistics.mean_s, statistics.p50_s, statistics.p90_s]
        shown += [statistics.p95_s, statistics.p99_s]
        rows.append((label, f"{statistics.n:,}", *(format_si(value, "s") for value in shown)))
    if rows:
        columns = ("latency", "samples", "mean", "p50", "p90", "p95", "p99")
        section.tables.append(Table("Latencies", columns, tuple(rows)))
    return section.section()


def _load(load: LoadResult, word: str) -> Section:
    section = Collector("Load")
    section.add("mode", load.mode, "mode", load.mode)
    in_flight = f"{load.mean_concurrency:.3g} in the mean, at most {load.peak_concurrency}"
    section.add("in flight", in_flight, "mean_concurrency", load.mean_concurrency)
    offered = load.offered_requests_per_second
    if offered is not None:
        section.add("offered", f"{offered:.4g} requests/s", "offered_requests_per_second", offered)
    served = load.achieved_requests_per_second
    over = ": overloaded, the backlog grew" if load.overloaded else ""
    section.add("served", f"{served:.4g} requests/s{over}", "achieved_requests_per_second", served)
    good = load.goodput_requests_per_second
    if good is not None:
        share = "" if load.slo_attainment is None else f", {load.slo_attainment:.1%} of requests"
        text = f"{good:.4g} requests/s{share}"
        section.add("within the SLO", text, "goodput_requests_per_second", good)
    judged = load.evidence
    steady = "unknown: the window is too short to tell"
    if judged is not None:
        drift = judged.output_tokens_per_second.difference or 0.0
        steady = "yes" if judged.steady else "no"
        steady += f" (tokens/s {drift:+.1%} between the window's halves)"
    section.add("steady", steady)
    ramp = f"{format_duration(load.ramp_s)}, ended by {load.ramp_ended_by.replace('_', ' ')}"
    section.add("ramp", ramp, "ramp_s", load.ramp_s)
    failed = ", ".join(f"{n} by {kind}" for kind, n in load.failures.items())
    section.add("failed", failed or None)
    late = load.client_lateness
    if late is not None:
        text = f"p50 {format_si(late.p50_s, 's')}, p99 {format_si(late.p99_s, 's')}"
        section.add("client late by", text)
    section.add("energy of a request", load.energy_attribution)
    if len(load.windows) > 1:
        section.tables.append(_windows(load, word))
    return section.section()


def _windows(load: LoadResult, word: str) -> Table:
    rows = []
    for number, window in enumerate(load.windows, start=1):
        energy = f"none: {window.reason}"
        if window.energy_per_output_token_j is not None:
            energy = f"{format_si(window.energy_per_output_token_j, 'J')}{word}"
        throttled = ", ".join(window.throttle_reasons) or "none"
        speed = f"{window.output_tokens_per_second:.4g}"
        rows.append((str(number), format_duration(window.duration_s), speed, energy, throttled))
    scatter = load.energy_per_output_token_cv
    told = "" if scatter is None else f"; J per token scatters by {scatter:.2%} (CV)"
    columns = ("window", "length", "output tokens/s", "per output token", "throttled by")
    return Table(f"Consecutive windows{told}", columns, tuple(rows))


def _memory_and_compute(result: ExperimentResult) -> Section:
    section = Collector("Memory and compute")
    for label, name in (
        ("peak memory", "peak_memory_bytes"),
        ("weights", "weights_memory_bytes"),
        ("peak less weights", "inference_memory_bytes"),
    ):
        size = getattr(result, name)
        text = f"none: {result.missing_reason(name)}" if size is None else format_bytes(size)
        section.add(label, text, name, size)
    section.add("memory read from", result.memory_source)
    flops = result.flops
    for label, name in (("prefill", "prefill_flops"), ("decode", "decode_flops")):
        value = getattr(flops, name)
        section.add(label, None if value is None else format_si(value, "FLOP"), name, value)
    rate = flops.flops_per_second
    if rate is not None:
        text = f"{format_si(rate, 'FLOP/s')} ({flops.confidence} confidence)"
        section.add("rate", text, "flops_per_second", rate)
    used = flops.model_flops_utilisation
    if used is not None and flops.peak_flops_per_second is not None:
        peak = format_si(flops.peak_flops_per_second, "FLOP/s")
        text = f"{used:.2%} of {peak}"
        section.add("utilisation (MFU)", text, "model_flops_utilisation", used)
    elif flops.reason:
        section.add("utilisation (MFU)", f"none: {flops.reason}")
    return section.section()


def _warm_up(result: ExperimentResult) -> Section:
    section = Collector("Warm-up")
    for process in result.processes:
        warmup = process.warmup
        prefix = f"process {process.rank}: " if len(result.processes) > 1 else ""
        if warmup is None:
            section.add(f"{prefix}warm-up", "off")
            continue
        ended = warmup.ended_by.replace("_", " ")
        text = f"{warmup.n_batches} in {format_duration(warmup.duration_s)}; ended by {ended}"
        section.add(f"{prefix}batches", text, "n_batches", warmup.n_batches)
        if warmup.converged is not None:
            cv = "" if warmup.final_cv is None else f" (CV of the last ones {warmup.final_cv:.1%})"
            text = f"{'yes' if warmup.converged else 'no'}{cv}"
            section.add(f"{prefix}latency converged", text, "converged", warmup.converged)
        section.add(f"{prefix}its prompts", warmup.prompts)
    return section.section()


def _thermal(result: ExperimentResult) -> Section:
    section = Collector("Thermal record")
    thermal = result.thermal
    if thermal is None:
        section.add("temperature and clocks", "not read: the meter tells neither")
        return section.section()
    for label, name in (
        ("temperature at the window's start", "temperature_start_c"),
        ("temperature at its end", "temperature_end_c"),
        ("highest temperature", "temperature_max_c"),
    ):
        value = getattr(thermal, name)
        section.add(label, None if value is None else f"{value:.3g} °C", name, value)
    reasons = thermal.throttle_reasons
    text = "the device does not tell"
    if reasons is not None:
        text = ", ".join(f"{n} in {s:.1%} of samples" for n, s in reasons.items() if s) or "none"
    section.add("clocks lowered by", text)
    section.add("samples", f"{thermal.n_samples:,}", "n_samples", thermal.n_samples)
    return section.section()


def _environment(result: ExperimentResult) -> Iterator[Section]:
    snapshot = result.environment_snapshot
    section = Collector("Environment")
    section.add("llem", snapshot.tool_version, "tool_version", snapshot.tool_version)
    section.add("environment", snapshot.environment)
    section.add("Python", snapshot.python)
    section.add("system", snapshot.operating_system)
    cpu = snapshot.cpu
    cores = listed_value(cpu.usable_cores)
    section.add("processor", f"{cpu.model or 'unknown'} ({cpu.architecture}), {cores} usable cores")
    if cpu.memory_total_bytes is not None:
        section.add("memory", format_bytes(cpu.memory_total_bytes))
    section.add("frequency governor", cpu.governor)
    section.add("NVIDIA driver", snapshot.driver_version)
    if not snapshot.gpus:
        section.add("NVIDIA GPUs", f"none: {snapshot.gpus_missing_reason}")
    for gpu in snapshot.gpus:
        limit = "unknown" if gpu.power_limit_w is None else f"{gpu.power_limit_w:.4g} W"
        size = "" if gpu.memory_total_bytes is None else f", {format_bytes(gpu.memory_total_bytes)}"
        section.add(f"GPU {gpu.index}", f"{gpu.name}{size}, power limit {limit} ({gpu.uuid})")
    container = snapshot.container
    for label, text in (
        ("container", container.kind),
        ("image", container.image_digest or container.image),
        ("job", container.scheduler_job),
    ):
        section.add(label, text)
    for name, value in snapshot.variables.items():
        section.add(f"variable {name}", value)
    packages = tuple(snapshot.packages.items())
    if packages:
        section.tables.append(Table("Packages", ("package", "version"), packages))
    yield section.section()


def _settings(result: ExperimentResult) -> Section:
    rows = tuple(settings_of(result).items())
    chosen = result.effective_config.get("effective")
    more = tuple(
        (f"chosen by the engine: {key}", listed_value(value))
        for key, value in (chosen.items() if isinstance(chosen, dict) else ())
    )
    table = Table("Every setting, defaults included", ("setting", "value"), (*rows, *more))
    return Section("Configuration", tables=(table,))
