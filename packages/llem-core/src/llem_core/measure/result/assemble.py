"""Makes the result of everything that the harness gathered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llem_core.contracts.backend import ModelInfo
from llem_core.contracts.sink import FinishedExperiment
from llem_core.measure.baseline.checks import baseline_warnings
from llem_core.measure.baseline.power import BaselineReadings, baseline_power
from llem_core.measure.energy.fields import energy_fields
from llem_core.measure.energy.phases import phase_energy
from llem_core.measure.energy.totals import RecordedEnergy, record_energy
from llem_core.measure.load.figures import aggregate_load, load_flops, load_result
from llem_core.measure.load.series import load_rows
from llem_core.measure.load.warnings import load_warnings
from llem_core.measure.prompts.load import fingerprint
from llem_core.measure.result.flops import FlopsEstimator
from llem_core.measure.result.observations import Observations
from llem_core.measure.result.timeseries import label, thermal_record
from llem_core.measure.result.warnings import (
    energy_warnings,
    prompt_warnings,
    quota_warnings,
    run_warnings,
    subtraction_warnings,
    throttling_warnings,
)
from llem_core.results.aggregate import Aggregate, aggregate_results
from llem_core.results.energy import BaselinePower
from llem_core.results.experiment import LATENCIES, QUANTITIES, ExperimentResult
from llem_core.results.load import LoadResult
from llem_core.results.model import ModelRecord, ThermalRecord
from llem_core.results.process import ProcessResult, ProcessSummary
from llem_core.results.text import with_writable_text
from llem_core.text import without_secrets

_OUTPUTS_SHOWN = 3
_CHARACTERS_SHOWN = 300


def assemble(measured: Observations) -> FinishedExperiment:
    """Compute every figure of the result, and give each missing one its reason."""
    load = measured.load
    aggregate = (
        aggregate_results(measured.processes)
        if load is None
        else aggregate_load(load, measured.processes[0])
    )
    devices = measured.devices
    energy = record_energy(measured.window, measured.no_energy_reason, devices)
    served = None if load is None else load_result(load, measured.processes[0], energy, devices)
    baseline = _baseline(measured, measured.baseline)
    loaded = _baseline(measured, measured.loaded_baseline)
    fields, unavailable = energy_fields(measured, aggregate, energy, baseline, loaded)
    fields.update(_memory_fields(measured, aggregate, unavailable))
    fields.update(_latency_fields(aggregate, unavailable))
    used = {domain.name for domain in energy.used}
    samples = measured.window.samples if measured.window else ()
    thermal = thermal_record(samples, used)
    warnings = _warnings(measured, aggregate, energy, fields, loaded, thermal, served)
    result = ExperimentResult(
        **_identity_fields(measured),
        **_speed_fields(aggregate),
        **fields,
        load=served,
        phase_energy=phase_energy(energy, measured.prefill, measured.prefill_passes, devices)
        if measured.prefill_passes
        else None,
        flops=_flops(measured, aggregate),
        model_record=_model_record(measured.infos),
        thermal=thermal,
        processes=[_summary(process) for process in measured.processes],
        measurement_warnings=list(dict.fromkeys(warnings)),
        unavailable={name: unavailable[name] for name in QUANTITIES if name in unavailable},
    )
    every_sample = measured.session.samples if measured.session else samples
    rows = label(every_sample, measured.history, measured.window)
    result = with_writable_text(result)
    return FinishedExperiment(
        result,
        rows,
        tuple(measured.processes),
        measured.started_s,
        () if load is None else load_rows(load, measured.history),
        measured.engine_log,
    )


def _warnings(
    measured: Observations,
    aggregate: Aggregate,
    energy: RecordedEnergy,
    fields: dict[str, Any],
    loaded: BaselinePower | None,
    thermal: ThermalRecord | None,
    served: LoadResult | None,
) -> list[str]:
    """What may be wrong with the result, most important first."""
    devices = measured.devices
    return [
        *energy_warnings(
            measured.config.energy,
            energy,
            fields["uncertainty"],
            aggregate.duration_s,
            "Raise n." if served is None else "Raise load.window_seconds.",
        ),
        *run_warnings(measured.config, measured.infos, measured.processes, aggregate),
        *(load_warnings(served) if served else []),
        *prompt_warnings(measured.prompts),
        *quota_warnings(measured.environment, devices.kind),
        *subtraction_warnings(
            loaded, fields["mean_power_w"], estimated=energy.method == "estimated"
        ),
        *baseline_warnings(measured.baseline, "before load", devices),
        *baseline_warnings(measured.loaded_baseline, "with the model loaded", devices),
        *throttling_warnings(thermal),
        *measured.meter_failures,
    ]


def _baseline(measured: Observations, idle: BaselineReadings | None) -> BaselinePower | None:
    if idle is None or not idle.readings:
        return None
    opened_s = measured.window.started_s if measured.window else idle.ended_s
    return baseline_power(idle, measured.devices, opened_s)


def _identity_fields(measured: Observations) -> dict[str, Any]:
    config = measured.config
    effective = without_secrets(config.model_dump(mode="json"))
    effective["effective"] = dict(measured.infos[0].effective_settings) if measured.infos else {}
    return {
        "measurement_config_hash": config.measurement_config_hash,
        "model": config.model,
        "backend": config.backend,
        "started_at": measured.started_at,
        "finished_at": measured.finished_at,
        "effective_config": effective,
        "dataset_sha256": fingerprint(measured.prompts),
        "environment_snapshot": measured.environment,
        "timeseries": None,
        "requests": None,
    }


def _speed_fields(aggregate: Aggregate) -> dict[str, Any]:
    requests = aggregate.requests
    texts = [request.text for request in requests if request.text is not None]
    return {
        "duration_s": aggregate.duration_s,
        "n_requests": len(requests),
        "n_failed_requests": len(aggregate.failed),
        "input_tokens": aggregate.input_tokens,
        "output_tokens": aggregate.output_tokens,
        "padded_input_tokens": aggregate.padded_tokens,
        "truncated_prompts": aggregate.truncated,
        "output_tokens_per_second": aggregate.output_tokens / aggregate.duration_s,
        "requests_per_second": len(requests) / aggregate.duration_s,
        "input_tokens_per_request": [request.input_tokens for request in requests],
        "output_tokens_per_request": [request.output_tokens for request in requests],
        "sample_outputs": [text[:_CHARACTERS_SHOWN] for text in texts[:_OUTPUTS_SHOWN]],
    }


def _latency_fields(aggregate: Aggregate, unavailable: dict[str, str]) -> dict[str, Any]:
    latencies = {name: getattr(aggregate, name) for name in LATENCIES}
    reason = aggregate.times_missing_reason or "no request has two output tokens"
    unavailable.update({name: reason for name, value in latencies.items() if value is None})
    if aggregate.queue_time is None:
        unavailable["queue_time"] = "the backend tells of no queue"
    return latencies


def _memory_fields(
    measured: Observations, aggregate: Aggregate, unavailable: dict[str, str]
) -> dict[str, Any]:
    weights, peak = aggregate.weights_bytes, aggregate.peak_memory_bytes
    inference = None if weights is None or peak is None else peak - weights
    if weights is None:
        unavailable["weights_memory_bytes"] = "the backend does not tell the size of its weights"
    if peak is None:
        unavailable["peak_memory_bytes"] = aggregate.memory_reason or "the backend does not tell"
    if inference is None:
        unavailable["inference_memory_bytes"] = "it is peak less weights, and one is missing"
    return {
        "weights_memory_bytes": weights,
        "peak_memory_bytes": peak,
        "inference_memory_bytes": inference,
        "memory_source": measured.processes[0].memory_source,
    }


def _flops(measured: Observations, aggregate: Aggregate) -> Any:
    info = measured.infos[0]
    if measured.load is not None:
        every = [device for each in measured.infos for device in each.devices]
        return load_flops(measured.load, measured.processes[0], info, every)
    return FlopsEstimator(info).estimate(
        input_tokens=[request.input_tokens for request in aggregate.requests],
        output_tokens=[request.output_tokens for request in aggregate.requests],
        padded_input_tokens=aggregate.padded_tokens,
        duration_s=aggregate.duration_s,
        devices=[device for each in measured.infos for device in each.devices],
    )


def _model_record(infos: Sequence[ModelInfo]) -> ModelRecord:
    info = infos[0]
    devices = [f"{d.name} ({d.uuid})" if d.uuid else d.name for i in infos for d in i.devices]
    return ModelRecord(
        parameters=info.parameters,
        parameters_non_embedding=info.parameters_non_embedding,
        active_parameters_non_embedding=info.active_parameters_non_embedding,
        n_layers=info.n_layers,
        dtype=info.dtype,
        random_weights=info.random_weights,
        devices=list(dict.fromkeys(devices)),
    )


def _summary(process: ProcessResult) -> ProcessSummary:
    finished = [request for request in process.requests if request.error is None]
    return ProcessSummary(
        rank=process.rank,
        pid=process.pid,
        duration_s=process.ended_s - process.started_s,
        n_requests=len(finished),
        n_batches=process.n_batches,
        input_tokens=sum(request.input_tokens for request in finished),
        output_tokens=sum(request.output_tokens for request in finished),
        peak_memory_bytes=process.peak_memory_bytes,
        warmup=process.warmup,
        facts=process.facts,
    )
