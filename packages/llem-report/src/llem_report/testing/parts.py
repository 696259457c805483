"""Parts of a made-up result, as the values of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llem_core.text import short_hash

CARD = "GPU-00000000-0000-0000-0000-00000000000a"
_CARD_NAME = "Simulated card"
_TERMS = {"edges": 0.55, "counter resolution": 0.05, "sampling": 0.4}


@dataclass(frozen=True, slots=True)
class Made:
    """What a made-up experiment shall be like.

    Attributes:
        settings: what was swept, dotted path to value.
        power_w: mean power in the window (W).
        tokens_per_second: output tokens/s.
        window_s: length of the window (s).
        n_requests: finished requests.
        method: of its energy; ``None`` for no energy.
        served: whether it was under a closed load.
        sample_s: between two samples (s).
        factor: what a node or a warm day does to its energy.
        text: stands in every string of the result; ``None`` for sensible ones.
        seed: of its noise.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    power_w: float = 300.0
    tokens_per_second: float = 1000.0
    window_s: float = 60.0
    n_requests: int = 40
    method: str | None = "counter"
    served: bool = False
    sample_s: float = 0.1
    factor: float = 1.0
    text: str | None = None
    seed: int = 1

    @property
    def config_hash(self) -> str:
        """Names its configuration: all that was set, noise apart."""
        return short_hash([{k: str(v) for k, v in self.settings.items()}, self.served, self.method])


def identity(made: Made) -> dict[str, Any]:
    """What was configured, and where the data files lie."""
    config: dict[str, Any] = {
        "model": "shape:made-up",
        "backend": "pytorch",
        "precision": "bf16",
        "n": made.n_requests,
        "max_output_tokens": 128,
        "load": {"mode": "closed", "concurrency": 16, "window_seconds": made.window_s}
        if made.served
        else {"mode": "batch"},
        "warmup": {"enabled": "true", "n_warmup": 5},
        "baseline": {"enabled": True, "duration_seconds": 10.0},
        "pytorch": {"batch_size": 1},
    }
    for path, value in made.settings.items():
        *sections, key = path.split(".")
        place = config
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return {
        "schema_version": 2,
        "measurement_config_hash": made.config_hash,
        "model": str(config["model"]),
        "backend": str(config["backend"]),
        "started_at": "2026-01-05T10:00:00Z",
        "finished_at": "2026-01-05T10:02:00Z",
        "effective_config": config,
        "dataset_sha256": "0" * 64,
        "memory_source": "made up",
        "input_tokens_per_request": [128] * made.n_requests,
        "output_tokens_per_request": [128] * made.n_requests,
        "sample_outputs": [],
        "measurement_warnings": ["This result is made up: nothing was measured."],
        "timeseries": "timeseries.parquet",
        "requests": "requests.parquet",
    }


def rest(made: Made) -> dict[str, Any]:
    """What has little to do with the figures: machine, model, processes."""
    return {
        "processes": [_process(made)],
        "flops": {**_NO_FLOPS, "method": "none", "confidence": "low", "reason": "it is made up"},
        "model_record": {
            "parameters": 1_000_000_000,
            "parameters_non_embedding": 900_000_000,
            "active_parameters_non_embedding": 900_000_000,
            "n_layers": 24,
            "dtype": "bf16",
            "random_weights": False,
            "devices": [f"{_CARD_NAME} ({CARD})"],
        },
        "thermal": {
            "temperature_start_c": 52.0,
            "temperature_end_c": 58.0,
            "temperature_max_c": 59.0,
            "throttle_reasons": {"power cap": 0.0},
            "n_samples": 600,
        },
        "environment_snapshot": _environment(),
        "energy_cross_check_difference": None,
    }


_NO_FLOPS = dict.fromkeys(
    (
        *("prefill_flops", "decode_flops", "total_flops", "attention_flops", "padding_flops"),
        *("flops_per_second", "peak_flops_per_second", "model_flops_utilisation"),
    )
)


def _process(made: Made) -> dict[str, Any]:
    warmup = {
        "n_batches": 6,
        "duration_s": 8.0,
        "converged": True,
        "final_cv": 0.02,
        "latency_per_token_s": [0.021, 0.0142, 0.0131, 0.0128, 0.0129, 0.0128],
        "ended_by": "converged",
        "prompts": "made up",
        "input_tokens": 128,
        "measured_input_tokens": 128,
    }
    return {
        "rank": 0,
        "pid": 1,
        "duration_s": made.window_s,
        "n_requests": made.n_requests,
        "n_batches": 5,
        "input_tokens": 128,
        "output_tokens": 128,
        "peak_memory_bytes": None,
        "warmup": warmup,
        "facts": {},
    }


def _environment() -> dict[str, Any]:
    gpu = {
        "index": 0,
        "name": _CARD_NAME,
        "uuid": CARD,
        "memory_total_bytes": 80 * 2**30,
        "power_limit_w": 700.0,
        **dict.fromkeys(("compute_mode", "mig_mode", "persistence_mode")),
    }
    return {
        "taken_at": "2026-01-05T10:00:00Z",
        "tool_version": "0.1.0",
        "python": "made up",
        "operating_system": "made up",
        "packages": {"torch": "2.0"},
        "gpus": [gpu],
        "gpus_missing_reason": None,
        "driver_version": "made up",
        "cpu": {
            "model": "made up",
            "architecture": "x86_64",
            "logical_cores": 16,
            "usable_cores": 16,
            "governor": None,
            "memory_total_bytes": 2**36,
        },
        "container": dict.fromkeys(
            ("kind", "memory_limit_bytes", "cpu_limit_cores", "scheduler_job")
        ),
        "variables": {},
    }


def breakdown(made: Made, energy_j: float) -> dict[str, Any]:
    """The one domain of the energy."""
    domain: dict[str, Any] = {
        "name": CARD,
        "kind": "gpu",
        "label": _CARD_NAME,
        "used": True,
        "energy_j": energy_j,
        "method": made.method,
        "reason": None,
        "resolution_j": 0.001,
        "shared_with": [],
        **dict.fromkeys(("cross_check_j", "cross_check_method")),
    }
    return {
        **dict.fromkeys(("cpu_j", "dram_j", "other_j")),
        "gpu_j": energy_j,
        "domains": [domain],
    }


def uncertainty(energy_j: float) -> dict[str, Any]:
    """Its uncertainties, with two terms that vary and a gain."""
    comparison_j, absolute_j = 0.004 * energy_j, 0.05 * energy_j
    terms = [
        {
            "name": name,
            "scope": "comparison",
            "growth": "constant",
            "adjusted_j": None,
            "total_j": comparison_j / 2 * share**0.5,
        }
        for name, share in _TERMS.items()
    ]
    gain = {
        "name": "gain",
        "scope": "absolute",
        "growth": "linear",
        "adjusted_j": None,
        "total_j": absolute_j / 2,
    }
    figures = [
        {
            "energy": "total",
            "scope": "comparison",
            "shares": dict(_TERMS),
            "standard_j": comparison_j / 2,
            "expanded_j": comparison_j,
        },
        {
            "energy": "total",
            "scope": "absolute",
            "shares": {"gain": 0.99, **{name: 0.01 * share for name, share in _TERMS.items()}},
            "standard_j": absolute_j / 2,
            "expanded_j": absolute_j,
        },
    ]
    return {
        "energy_uncertainty_comparison_j": comparison_j,
        "energy_uncertainty_absolute_j": absolute_j,
        "uncertainty": {
            "coverage": 0.95,
            "coverage_factor": 2.0,
            "comparison_j": comparison_j,
            "absolute_j": absolute_j,
            "figures": figures,
            "terms": [gain, *terms],
            **dict.fromkeys(("adjusted_comparison_j", "adjusted_absolute_j")),
        },
    }


def load_result(made: Made) -> dict[str, Any]:
    """What was served under a closed load."""
    nothing = dict.fromkeys(
        (
            *("n_good", "goodput_requests_per_second", "slo_attainment"),
            *("energy_per_good_request_j", "client_lateness", "client_cpu_s", "token_check"),
            *("client_cpu_per_1000_tokens_s", "tokens_per_chunk", "evidence"),
            *("energy_per_output_token_cv", "energy_attribution", "offered_requests_per_second"),
        )
    )
    return {
        **nothing,
        "mode": "closed",
        "concurrency_limit": 16,
        "achieved_requests_per_second": 2.0,
        "mean_concurrency": 15.8,
        "peak_concurrency": 16,
        "n_started": made.n_requests,
        "n_sent": made.n_requests + 20,
        "prompts_repeated": 0,
        "backlog_start": 16,
        "backlog_end": 16,
        "overloaded": False,
        "failures": {},
        "tokens_without_times": 0,
        "ramp_s": 8.0,
        "ramp_ended_by": "steady",
        "windows": [],
    }
