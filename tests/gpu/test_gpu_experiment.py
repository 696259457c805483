"""One experiment on a real NVIDIA GPU: tokens, times by CUDA events, memory, counter energy."""

from __future__ import annotations

from typing import Any

import pytest
from llenergymeasure import ExperimentResult, run_experiment

pytestmark = pytest.mark.gpu


def run(**fields: Any) -> ExperimentResult:
    settings: dict[str, Any] = {
        "model": "shape:smollm2-135m",
        "n": 16,
        "dataset": "synthetic",
        "max_input_tokens": 64,
        "max_output_tokens": 64,
        "baseline": {"duration_seconds": 3},
        "energy": {"sampler": "nvml"},
        "pytorch": {"batch_size": 8, "precision": "bf16"},
    }
    return run_experiment(**{**settings, **fields})


def test_energy_comes_from_the_counter_of_the_gpu_in_use() -> None:
    result = run()
    assert result.energy_source == "nvml"
    assert result.energy_total_j is not None
    assert result.energy_total_j > 0
    assert result.energy_scope[0].startswith("GPU-")
    assert result.model_record.devices[0].endswith(f"({result.energy_scope[0]})")
    assert result.loaded_baseline_power_w is not None
    assert result.mean_power_w is not None
    assert result.mean_power_w > result.loaded_baseline_power_w > 0
    assert result.output_tokens == 16 * 64


def test_token_times_are_read_without_a_host_synchronisation_and_fit_the_window() -> None:
    result = run(energy={"sampler": None}, baseline={"enabled": False})
    first, between = result.time_to_first_token, result.inter_token_latency
    assert first is not None
    assert between is not None
    whole = first.mean_s + between.mean_s * 63
    assert result.end_to_end_latency is not None
    assert whole == pytest.approx(result.end_to_end_latency.mean_s, rel=0.1)


def test_memory_is_that_of_the_device() -> None:
    result = run(energy={"sampler": None}, baseline={"enabled": False})
    assert result.memory_source.startswith("torch.cuda")
    assert result.weights_memory_bytes is not None
    assert result.peak_memory_bytes is not None
    assert result.peak_memory_bytes > result.weights_memory_bytes
