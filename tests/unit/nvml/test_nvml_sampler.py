"""The sampler through the real binding over a simulated driver, in real time: short windows."""

from __future__ import annotations

import itertools
import math
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pynvml
import pytest
from llem_core.contracts import DomainReading, EnergyReading, SamplerSettings
from llem_core.errors import EnergyError
from llem_energy_nvml import hooks
from llem_energy_nvml.config import NvmlConfig
from llem_energy_nvml.testing import Constant, SimulatedGpu, Square, Steps, simulated_driver

(SPEC,) = hooks.llem_samplers()


@contextmanager
def sampling(*gpus: SimulatedGpu, interval_s: float = 0.02) -> Iterator[tuple]:
    with simulated_driver(gpus) as now:
        sampler = SPEC.create(SamplerSettings(interval_s, NvmlConfig()))
        sampler.start()
        try:
            yield sampler, now
        finally:
            sampler.stop()


def measure(*gpus: SimulatedGpu, duration_s: float = 0.6) -> tuple[EnergyReading, list[float]]:
    """A window over the GPUs, and the true joules of each over that same window."""
    with sampling(*gpus) as (sampler, now):
        offset_s = time.monotonic() - now()
        sampler.begin("w")
        time.sleep(duration_s)
        reading = sampler.end("w")
        truth = [
            gpu.true_joules(reading.started_s - offset_s, reading.ended_s - offset_s)
            for gpu in gpus
        ]
    return reading, truth


def expanded(domain: DomainReading, *scopes: str) -> float:
    terms = [t.standard_j for t in domain.uncertainty if t.scope in scopes]
    return 2 * math.sqrt(sum(term**2 for term in terms))


CURVES = {
    "constant": Constant(300.0),
    "fast square": Square(100.0, 500.0, 0.02),
    "slow square": Square(100.0, 500.0, 0.37),
    "prefill and decode": Steps(((0.0, 80.0), (0.3, 650.0), (0.5, 350.0))),
}


@pytest.mark.parametrize("name", CURVES)
def test_the_true_joules_are_within_the_comparison_interval(name: str) -> None:
    for seed in range(2):
        phase_s = random.Random(seed).random() * 0.1
        reading, (truth,) = measure(SimulatedGpu(CURVES[name], phase_s=phase_s))
        (domain,) = reading.domains
        assert domain.energy_j is not None
        assert domain.method == "counter"
        assert abs(domain.energy_j - truth) <= expanded(domain, "comparison"), (seed, truth)
        assert expanded(domain, "comparison") < 0.4 * truth


def test_an_unknown_gain_is_within_the_absolute_interval_only() -> None:
    reading, (truth,) = measure(SimulatedGpu(Constant(400.0), gain=1.08))
    (domain,) = reading.domains
    assert domain.energy_j is not None
    error_j = abs(domain.energy_j - truth)
    assert error_j > expanded(domain, "comparison")
    assert error_j <= expanded(domain, "comparison", "absolute")


def test_aligned_edges_beat_unaligned_ones() -> None:
    worst = {}
    for align in (True, False):
        errors = []
        for step in range(4):
            gpu = SimulatedGpu(Constant(500.0), phase_s=0.027 * step)
            with simulated_driver([gpu]) as now:
                offset_s = time.monotonic() - now()
                sampler = SPEC.create(SamplerSettings(0.05, NvmlConfig(align_edges=align)))
                sampler.start()
                sampler.begin("w")
                time.sleep(0.33)
                reading = sampler.end("w")
                sampler.stop()
            truth = gpu.true_joules(reading.started_s - offset_s, reading.ended_s - offset_s)
            errors.append(abs((reading.domains[0].energy_j or 0) - truth) / truth)
        worst[align] = max(errors)
    assert worst[True] < 0.03
    assert worst[False] > worst[True]


def test_without_a_counter_power_is_integrated_and_said_to_be() -> None:
    reading, (truth,) = measure(SimulatedGpu(Constant(200.0), counter_refresh_s=None))
    (domain,) = reading.domains
    assert domain.method == "integrated"
    assert domain.energy_j == pytest.approx(truth, rel=0.02)
    assert domain.cross_check_j is None


def test_counter_and_integral_are_held_against_each_other() -> None:
    (domain,) = measure(SimulatedGpu(Constant(250.0)))[0].domains
    assert domain.cross_check_method == "integrated"
    assert domain.cross_check_j == pytest.approx(domain.energy_j, rel=0.05)


@pytest.mark.parametrize(
    ("defect", "told"),
    [
        ({"mig": True}, "MIG is on"),
        ({"reset_at_s": 0.6}, "went backwards"),
        ({"jump_at_s": 0.6}, "jumped"),
        ({"lost_from_s": 0.6}, "lost"),
        ({"dead_from_s": 0.0}, "stood still"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_defect_makes_the_figure_null_with_a_reason(defect: dict, told: str) -> None:
    healthy = SimulatedGpu(Constant(100.0), uuid="GPU-healthy")
    broken = SimulatedGpu(Constant(300.0), uuid="GPU-broken", **defect)
    reading, (truth, _) = measure(healthy, broken, duration_s=1.1)
    good, bad = reading.domains
    assert (bad.energy_j, bad.name) == (None, "GPU-broken")
    assert told in (bad.reason or "")
    assert good.energy_j == pytest.approx(truth, rel=0.05)


def test_samples_have_everything_and_keep_the_interval() -> None:
    reading, _ = measure(SimulatedGpu(Constant(123.0), throttle=0x4 | 0x40), duration_s=0.5)
    assert len(reading.samples) >= 10
    sample = reading.samples[-1]
    assert sample.power_w == pytest.approx(123.0)
    assert (sample.temperature_c, sample.utilisation_percent) == (45, 80)
    assert (sample.memory_bytes, sample.sm_clock_hz) == (10 << 30, 1.5e9)
    assert sample.throttle_reasons == ("sw_power_cap", "hw_thermal_slowdown")
    times = [s.time_s for s in reading.samples]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert reading.started_s <= times[0] <= times[-1] <= reading.ended_s


def test_the_power_field_is_called_what_it_is() -> None:
    def field(**facts: object) -> str:
        reading, _ = measure(SimulatedGpu(**facts), duration_s=0.1)
        (device,) = reading.sensor["devices"].values()
        return device["power_field"]

    assert "POWER_INSTANT" in field()
    assert "average" in field(power_window_s=None)
    assert "instantaneous" in field(power_window_s=None, architecture=7, name="NVIDIA A100-SXM4")
    assert "instantaneous" in field(power_window_s=None, architecture=6)


def test_windows_nest_and_a_short_one_is_warned_of() -> None:
    with sampling(SimulatedGpu(Constant(100.0))) as (sampler, _):
        sampler.begin("outer")
        sampler.begin("inner")
        time.sleep(0.3)
        inner = sampler.end("inner")
        outer = sampler.end("outer")
    assert outer.started_s < inner.started_s < inner.ended_s < outer.ended_s
    assert (outer.domains[0].energy_j or 0) > (inner.domains[0].energy_j or 0)
    assert "short" in inner.warnings[0]


def test_other_processes_are_named_and_our_own_are_not() -> None:
    import os

    reading, _ = measure(SimulatedGpu(pids=(os.getpid(), 999_999_999)), duration_s=0.1)
    assert reading.domains[0].shared_with == ("999999999",)


def test_availability_is_honest() -> None:
    assert not SPEC.availability().usable or pynvml.nvmlLib is not None
    with simulated_driver([SimulatedGpu()]):
        found = SPEC.availability()
        assert found.usable
        assert found.domains == ("gpu",)
    with simulated_driver([]):
        assert "no GPU" in SPEC.availability().reason
    with simulated_driver([SimulatedGpu()], loaded=False):
        assert "Driver Not Loaded" in SPEC.availability().reason
        sampler = SPEC.create(SamplerSettings(0.1))
        with pytest.raises(EnergyError, match="Driver Not Loaded"):
            sampler.start()
        sampler.stop()


def test_stopping_twice_is_harmless() -> None:
    with sampling(SimulatedGpu()) as (sampler, _):
        sampler.stop()
        sampler.stop()
        assert not [thread for thread in threading.enumerate() if thread.name == "llem-nvml"]
