from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llem_core.contracts import AttentionShape, ComputeShape, DeviceInfo, ModelInfo
from llem_core.errors import ExperimentError
from llem_core.measure.result.flops import FlopsEstimator
from llem_core.measure.result.peaks import peak_of
from llem_core.results.aggregate import aggregate_results
from llem_core.results.latency import latency_statistics, percentile
from llem_core.results.model import FlopsResult
from llem_core.results.process import ProcessResult, RequestRecord
from llem_core.units import format_bytes, format_duration, format_si


def process(rank: int, started_s: float, step_s: float, indices: list[int]) -> ProcessResult:
    requests = [
        RequestRecord(
            index=index,
            batch=number,
            input_tokens=10,
            output_tokens=4,
            started_s=started_s + number,
            ended_s=started_s + number + 4 * step_s,
            queued_s=None,
            first_token_s=started_s + number + step_s,
            token_times_s=[started_s + number + step_s * (i + 1) for i in range(4)],
            token_ids=[1, 2, 3, 4],
            text=None,
            error=None,
        )
        for number, index in enumerate(indices)
    ]
    return ProcessResult(
        rank=rank,
        pid=rank + 1,
        started_s=started_s,
        ended_s=started_s + len(indices),
        n_batches=len(indices),
        padded_tokens=10 * len(indices),
        truncated=0,
        requests=requests,
        times_missing_reason=None,
        weights_bytes=100,
        peak_memory_bytes=None if rank == 9 else 200,
        memory_source="test",
        memory_reason="no reading" if rank == 9 else None,
        warmup=None,
        facts={},
        notes=[],
    )


def test_samples_are_pooled_and_averages_are_not_averaged() -> None:
    # one process with one slow request, another with three fast ones
    pooled = aggregate_results([process(0, 5.0, 0.4, [0]), process(1, 6.0, 0.1, [1, 2, 3])])
    assert pooled.time_to_first_token is not None
    assert pooled.time_to_first_token.mean_s == pytest.approx((0.4 + 3 * 0.1) / 4)
    assert pooled.time_to_first_token.mean_s != pytest.approx((0.4 + 0.1) / 2)
    assert pooled.inter_token_latency is not None
    assert pooled.inter_token_latency.n == 12
    assert (pooled.started_s, pooled.ended_s, pooled.duration_s) == (5.0, 9.0, 4.0)
    assert (pooled.input_tokens, pooled.output_tokens) == (40, 16)
    assert [request.index for request in pooled.requests] == [0, 1, 2, 3]
    assert (pooled.weights_bytes, pooled.peak_memory_bytes) == (200, 400)


def test_a_reading_that_one_process_lacks_is_missing_with_its_reason() -> None:
    pooled = aggregate_results([process(0, 0, 0.1, [0]), process(9, 0, 0.1, [1])])
    assert pooled.peak_memory_bytes is None
    assert pooled.memory_reason == "no reading"


def test_nothing_and_overlapping_shares_are_errors() -> None:
    with pytest.raises(ExperimentError):
        aggregate_results([])
    with pytest.raises(ExperimentError, match="same request"):
        aggregate_results([process(0, 0, 0.1, [0]), process(1, 0, 0.1, [0])])


@given(st.lists(st.floats(0, 1e3), min_size=2, max_size=50))
def test_percentiles_are_those_of_the_standard_library(samples: list[float]) -> None:
    ordered = sorted(samples)
    quartiles = statistics.quantiles(samples, n=4, method="inclusive")
    for expected, percent in zip(quartiles, (25, 50, 75), strict=True):
        assert percentile(ordered, percent) == pytest.approx(expected, abs=1e-9)
    found = latency_statistics(samples)
    assert found is not None
    assert found.mean_s == pytest.approx(statistics.fmean(samples))
    assert found.min_s <= found.p50_s <= found.p95_s <= found.p99_s <= found.max_s


INFO = ModelInfo(
    parameters=1000,
    parameters_non_embedding=600,
    compute=ComputeShape(600, 90, (AttentionShape(1, 8, 6), AttentionShape(2, 8, 6, window=5))),
    dtype="bf16",
    devices=(DeviceInfo("gpu", "NVIDIA H100 80GB HBM3", "GPU-a"),),
)


def estimate(info: ModelInfo, lengths: list[tuple[int, int]], padding: int = 0) -> FlopsResult:
    return FlopsEstimator(info).estimate(
        [n for n, _ in lengths],
        [n for _, n in lengths],
        padded_input_tokens=sum(n for n, _ in lengths) + padding,
        duration_s=2.0,
        devices=info.devices,
    )


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), min_size=1, max_size=8))
def test_flops_are_the_sum_over_positions(lengths: list[tuple[int, int]]) -> None:
    prefill = decode = 0
    for n_in, n_out in lengths:
        for position in range(n_in + max(n_out - 1, 0)):
            context = position + 1
            cost = 2 * 600 + 2 * 14 * (context + 2 * min(context, 5))
            cost += 2 * 90 if position >= n_in - 1 else 0
            prefill, decode = (
                (prefill + cost, decode) if position < n_in else (prefill, decode + cost)
            )
    found = estimate(INFO, lengths, padding=7)
    assert found.prefill_flops == prefill
    assert found.decode_flops == decode
    assert found.padding_flops == 2 * 600 * 7
    assert found.flops_per_second == (prefill + decode) / 2
    assert found.model_flops_utilisation == pytest.approx((prefill + decode) / 2 / 989.4e12)
    assert found.confidence == "high"
    assert found.parts == ["matrix products", "output projection", "attention"]


def test_eager_attention_computes_every_pair_of_a_prompt() -> None:
    found = estimate(INFO, [(20, 3)])
    assert found.total_flops is not None
    assert found.total_full_attention_flops is not None
    masked = (20 * 20 - sum(range(1, 21))) + 2 * (20 * 20 - sum(min(n, 5) for n in range(1, 21)))
    assert found.total_full_attention_flops - found.total_flops == 2 * 14 * masked


def test_beams_lost_caches_and_logits_of_whole_prompts_cost_what_they_compute() -> None:
    shape = ComputeShape(600, 90, state_space_flops_per_position=10.0)
    one = estimate(replace(INFO, compute=shape), [(20, 3)])
    assert one.total_flops == 2 * 600 * 22 + 10 * 22 + 2 * 90 * 3
    assert one.state_space_flops == 220

    beams = replace(shape, sequences_per_request=4)
    assert estimate(replace(INFO, compute=beams), [(20, 3)]).total_flops == 4 * one.total_flops
    anew = replace(shape, keeps_cache=False)
    assert estimate(replace(INFO, compute=anew), [(20, 3)]).decode_flops == (
        (2 * 600 + 10) * (21 + 22) + 2 * 90 * 2
    )
    whole = replace(shape, projects_every_prompt_position=True)
    assert estimate(replace(INFO, compute=whole), [(20, 3)]).output_projection_flops == 2 * 90 * 22


def test_what_is_not_counted_is_said_and_lowers_the_confidence() -> None:
    found = estimate(replace(INFO, compute=None), [(20, 3)])
    assert found.total_flops == 2 * 600 * 22
    assert found.confidence == "low"
    assert "output projection" in found.left_out[0]
    partial = replace(INFO, compute=ComputeShape(600, 90, not_counted=("a recurrence",)))
    assert estimate(partial, [(20, 3)]).left_out[0] == "a recurrence"
    assert estimate(partial, [(20, 3)]).confidence == "low"


def test_without_parameters_there_are_no_flops_and_a_reason() -> None:
    info = ModelInfo(None, None, devices=())
    found = FlopsEstimator(info).estimate(
        [1], [1], padded_input_tokens=1, duration_s=1.0, devices=()
    )
    assert found.total_flops is None
    assert found.reason


def test_two_processes_on_one_card_share_its_peak_and_two_cards_add_theirs() -> None:
    a, b = INFO.devices[0], DeviceInfo("gpu", "NVIDIA H100 80GB HBM3", "GPU-b")
    for devices, peak in (([a, a], 989.4e12), ([a, b], 2 * 989.4e12)):
        found = FlopsEstimator(INFO).estimate(
            [1], [1], padded_input_tokens=1, duration_s=1.0, devices=devices
        )
        assert found.peak_flops_per_second == peak


@pytest.mark.parametrize(
    ("name", "dtype", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989.4),
        ("NVIDIA H100 PCIe", "bf16", 756.5),
        ("NVIDIA H100 NVL", "fp16", 835.5),
        ("NVIDIA H200", "bf16", 989.4),
        ("NVIDIA H200 NVL", "bf16", 835.5),
        ("NVIDIA H800", "bf16", 989.4),
        ("NVIDIA H20", "bf16", 148.0),
        ("NVIDIA GH200 480GB", "bf16", 989.4),
        ("NVIDIA B200", "bf16", 2250.0),
        ("NVIDIA B300 SXM6 AC", "bf16", 2250.0),
        ("NVIDIA GB200", "bf16", 2500.0),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312.0),
        ("NVIDIA A100 80GB PCIe", "bf16", 312.0),
        ("NVIDIA A100-PCIE-40GB", "bf16", 312.0),
        ("NVIDIA A800-SXM4-80GB", "bf16", 312.0),
        ("NVIDIA A100-SXM4-80GB", "fp32", 19.5),
        ("NVIDIA A10", "bf16", 125.0),
        ("NVIDIA A10G", "bf16", 70.0),
        ("Tesla V100-SXM2-16GB", "fp16", 125.0),
        ("Tesla V100-SXM2-16GB", "bf16", None),
        ("Tesla T4", "fp16", 65.0),
        ("NVIDIA GeForce RTX 4090", "fp16", 165.2),
        ("NVIDIA GeForce RTX 5090", "bf16", 209.5),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "bf16", 503.8),
        ("AMD Instinct MI300X", "bf16", 1307.4),
        ("NVIDIA RTX A1000", "bf16", None),
        ("NVIDIA GeForce RTX 4090 D", "bf16", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16", None),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "bf16", None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bf16", None),
        ("NVIDIA H100 80GB HBM3", "int4", None),
        ("AMD EPYC", "fp32", None),
    ],
)
def test_peaks_are_looked_up_by_the_whole_name(name: str, dtype: str, tera: float | None) -> None:
    found = peak_of(name, dtype)
    assert found.flops_per_second == (None if tera is None else pytest.approx(tera * 1e12))
    assert (found.reason is None) == (tera is not None)
    assert found.reason is None or name in found.reason


def test_fp32_on_tensor_cores_is_held_against_their_peak() -> None:
    def fp32(name: str) -> float | None:
        return peak_of(name, "fp32", fp32_on_tensor_cores=True).flops_per_second

    assert fp32("NVIDIA A100-SXM4-80GB") == 156e12
    assert fp32("Tesla T4") == 8.1e12
    precise = replace(INFO, dtype="fp32")
    quick = replace(precise, effective_settings={"matmul_precision": "high"})
    peaks = [estimate(info, [(2, 2)]).peak_flops_per_second for info in (precise, quick)]
    assert peaks == pytest.approx([66.9e12, 494.7e12])


def test_quantities_are_written_for_people() -> None:
    assert format_si(0.01234, "J") == "12.3 mJ"
    assert format_si(999.6, "J") == "1.00 kJ"
    assert format_si(0, "W") == "0 W"
    assert format_si(math.pi * 1e12, "FLOP/s") == "3.14 TFLOP/s"
    assert format_bytes(3 * 1024**3 // 2) == "1.50 GiB"
    assert format_duration(185) == "3 min 05 s"
    assert format_duration(7800) == "2 h 10 min"
