"""One made-up experiment: a result, its requests and its samples, through the real classes."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

from llem_core.contracts.sampler import PowerSample
from llem_core.contracts.sink import FinishedExperiment, LoadPoint, LoadRow, TimeseriesRow
from llem_core.results.aggregate import latencies
from llem_core.results.experiment import LATENCIES, QUANTITIES, ExperimentResult
from llem_core.results.process import ProcessResult, RequestRecord

from llem_report.testing.parts import (
    CARD,
    Made,
    breakdown,
    identity,
    load_result,
    rest,
    uncertainty,
)

_PHASES = (("baseline", 10.0), ("load", 6.0), ("warmup", 8.0), ("loaded_baseline", 10.0))
_AFTER_S = 3.0


def finished(made: Made) -> FinishedExperiment:
    """The experiment as sinks receive it."""
    draw = random.Random(made.seed)  # noqa: S311 - noise, and the same each time
    opened_s = sum(length for _, length in _PHASES)
    process = ProcessResult(
        rank=0,
        pid=1,
        started_s=opened_s,
        ended_s=opened_s + made.window_s,
        n_batches=5,
        padded_tokens=made.n_requests * 128,
        truncated=0,
        requests=_requests(made, draw, opened_s),
        times_missing_reason=None,
        weights_bytes=2_000_000_000,
        peak_memory_bytes=6_000_000_000,
        memory_source="made up",
        memory_reason=None,
        warmup=None,
        facts={},
        notes=[],
    )
    result = ExperimentResult.model_validate(_content(made, draw, process))
    if made.text is not None:
        result = _filled(result, made.text)
    return FinishedExperiment(
        result=result,
        timeseries=tuple(_samples(made, draw, opened_s)),
        processes=(process,),
        started_s=0.0,
        load=tuple(_load(made, draw, opened_s)) if made.served else (),
    )


def _requests(made: Made, draw: random.Random, opened_s: float) -> list[RequestRecord]:
    tokens = max(2, int(made.tokens_per_second * made.window_s / made.n_requests))
    shown = min(tokens, 64)
    together = float(made.settings.get("pytorch.batch_size", 8))
    records = []
    for index in range(made.n_requests):
        started_s = opened_s + draw.uniform(0, 0.8) * made.window_s
        first_s = started_s + draw.lognormvariate(-3.2, 0.4) * (1 + together / 16)
        step_s = together / made.tokens_per_second
        steps_s = (step_s * draw.lognormvariate(0, 0.15) for _ in range(shown - 1))
        times_s = list(itertools.accumulate(steps_s, initial=first_s))
        records.append(
            RequestRecord(
                index=index,
                batch=0,
                input_tokens=128,
                output_tokens=tokens,
                started_s=started_s,
                ended_s=times_s[-1],
                queued_s=None,
                first_token_s=first_s,
                token_times_s=times_s,
                token_ids=[],
                text=None,
                error=None,
                in_window=True if made.served else None,
            )
        )
    return records


def _samples(made: Made, draw: random.Random, opened_s: float) -> list[TimeseriesRow]:
    rows: list[TimeseriesRow] = []
    time_s, temperature_c = 0.0, 38.0
    steps = (*_PHASES, ("measure", made.window_s), ("unload", _AFTER_S))
    levels = {"baseline": 70, "load": 120, "warmup": made.power_w, "loaded_baseline": 95}
    for phase, length_s in steps:
        level_w = levels.get(phase, made.power_w if phase == "measure" else 90)
        for _ in range(round(length_s / made.sample_s)):
            temperature_c += (30 + 0.09 * level_w - temperature_c) * made.sample_s / 25
            hot = temperature_c > 60
            sample = PowerSample(
                time_s,
                CARD,
                level_w * draw.gauss(1, 0.02),
                temperature_c=round(temperature_c),
                utilisation_percent=95.0 if phase == "measure" else 0.0,
                sm_clock_hz=(1.98e9 if level_w > 200 else 0.6e9) - 1.2e8 * hot,
                throttle_reasons=("power cap",) if hot else (),
            )
            rows.append(TimeseriesRow(phase, sample))
            time_s += made.sample_s
    del opened_s
    return rows


def _load(made: Made, draw: random.Random, opened_s: float) -> list[LoadRow]:
    rows = []
    ramp_s = 8
    for second in range(int(made.window_s) + ramp_s + 4):
        time_s = opened_s - ramp_s + second
        inside = second >= ramp_s and second < ramp_s + made.window_s
        phase = "measure" if inside else "ramp" if second < ramp_s else "drain"
        share = min(1.0, second / ramp_s) if phase != "drain" else 0.4
        tokens = int(made.tokens_per_second * share * draw.gauss(1, 0.05))
        rows.append(LoadRow(phase, LoadPoint(time_s, 1.0, 16 * share, 2 * (1 - share), tokens)))
    return rows


def _content(made: Made, draw: random.Random, process: ProcessResult) -> dict[str, Any]:
    tokens = int(made.tokens_per_second * made.window_s)
    energy_j = made.power_w * made.window_s * made.factor * draw.gauss(1, 0.008)
    idle_j = 95.0 * made.window_s
    statistics = latencies(process.requests)
    known = made.method is not None
    content: dict[str, Any] = {
        **dict.fromkeys(ExperimentResult.model_fields),
        **identity(made),
        "duration_s": made.window_s,
        "n_requests": made.n_requests,
        "n_failed_requests": 0,
        "input_tokens": made.n_requests * 128,
        "output_tokens": tokens,
        "padded_input_tokens": made.n_requests * 128,
        "truncated_prompts": 0,
        "output_tokens_per_second": tokens / made.window_s * draw.gauss(1, 0.004),
        "requests_per_second": made.n_requests / made.window_s,
        **statistics,
        "weights_memory_bytes": process.weights_bytes,
        "peak_memory_bytes": process.peak_memory_bytes,
        "inference_memory_bytes": 4_000_000_000,
        "energy_scope": [CARD] if known else [],
        "energy_per_device_j": {CARD: energy_j} if known else {},
        "sensor": {"driver": "made up", "update_s": 0.1} if known else {},
        **rest(made),
    }
    if known:
        content |= {
            "energy_source": "codecarbon" if made.method == "estimated" else "nvml",
            "energy_method": made.method,
            "energy_total_j": energy_j,
            "energy_adjusted_j": energy_j - idle_j,
            "energy_per_output_token_j": energy_j / tokens,
            "energy_adjusted_per_output_token_j": (energy_j - idle_j) / tokens,
            "energy_per_request_j": energy_j / made.n_requests,
            "mean_power_w": energy_j / made.window_s,
            "peak_power_w": 1.1 * made.power_w,
            "energy_breakdown": breakdown(made, energy_j),
            **({} if made.method == "estimated" else uncertainty(energy_j)),
        }
    if made.served:
        content["load"] = load_result(made)
    reason = "it is made up without it"
    content["unavailable"] = {
        name: reason for name in (*QUANTITIES, *LATENCIES) if content.get(name) is None
    }
    return content


_EXACT = frozenset({"kind", "method", "energy_method", "scope", "growth", "confidence", "energy"})
_EXACT_TOO = frozenset({"timeseries", "requests", "measurement_config_hash", "ended_by", "mode"})


def _filled(result: ExperimentResult, text: str) -> ExperimentResult:
    """The result with a text in place of every string that may be any."""

    def fill(value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            free = name not in _EXACT | _EXACT_TOO and not name.endswith("_ended_by")
            return text if free and value != CARD else value
        if isinstance(value, dict):
            return {key: fill(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [fill(inner, name) for inner in value]
        return value

    content = fill(result.model_dump(mode="json"))
    content["sensor"] = {text: text}
    content["environment_snapshot"]["packages"] = {text: text}
    return ExperimentResult.model_validate(content)


def with_seed(made: Made, seed: int) -> Made:
    """The same with other noise."""
    return replace(made, seed=seed)
