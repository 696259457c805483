"""The sampler through the real binding over a simulated driver."""

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
from llem_core.config.energy import EnergyConfig
from llem_core.contracts import DomainReading, EnergyReading, SamplerSettings, UsedDevices
from llem_core.errors import EnergyError
from llem_core.measure.energy.totals import record_energy
from llem_core.measure.energy.uncertainty import budget
from llem_core.measure.result.warnings import energy_warnings
from llem_energy_nvml import hooks
from llem_energy_nvml.config import NvmlConfig
from llem_energy_nvml.sampler import NvmlSampler
from llem_energy_nvml.testing import (
    Constant,
    Curve,
    SimulatedGpu,
    Square,
    Steps,
    VirtualClock,
    measure_window,
    simulated_driver,
)

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


def measure(*gpus: SimulatedGpu, duration_s: float = 0.6) -> tuple[EnergyReading, tuple]:
    """A window over the GPUs in simulated time, and the true joules of each over it."""
    done = measure_window(gpus, duration_s, interval_s=0.02, lead_s=0.3)
    return done.reading, done.true_j


def expanded(domain: DomainReading, *scopes: str) -> float:
    asked = {scope == "absolute" for scope in scopes}
    terms = [t.standard_j for t in domain.uncertainty if t.common_to_runs in asked]
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
        for step in range(8):
            gpu = SimulatedGpu(Constant(500.0), phase_s=0.013 * step)
            config = NvmlConfig(align_edges=align, passport=False)
            done = measure_window([gpu], 0.33, config=config)
            errors.append(abs((done.domain.energy_j or 0) - done.true_j[0]) / done.true_j[0])
        worst[align] = max(errors)
    assert worst[True] < 0.01
    assert worst[False] > 5 * worst[True]


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
        ({"reset_at_s": 0.9}, "went backwards"),
        ({"reset_at_s": 0.9, "counter_start_j": 50.0}, "went backwards"),
        ({"jump_at_s": 0.9}, "jumped"),
        # The mean over the window stays below what the board can draw.
        ({"jump_at_s": 0.9, "jump_j": 300.0}, "jumped"),
        ({"lost_from_s": 0.9}, "lost"),
        ({"dead_from_s": 0.0}, "stood still"),
        ({"frozen_s": (0.8, 1.3)}, "and then went on"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
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
    reading, _ = measure(
        SimulatedGpu(Constant(123.0), throttle=0x4 | 0x40, idle_w=0), duration_s=0.5
    )
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


def test_windows_nest() -> None:
    with sampling(SimulatedGpu(Constant(100.0))) as (sampler, _):
        sampler.begin("outer")
        sampler.begin("inner")
        time.sleep(0.3)
        inner = sampler.end("inner")
        outer = sampler.end("outer")
    assert outer.started_s < inner.started_s < inner.ended_s < outer.ended_s
    assert (outer.domains[0].energy_j or 0) > (inner.domains[0].energy_j or 0)


def test_other_processes_are_named_and_our_own_are_not() -> None:
    import os

    reading, _ = measure(SimulatedGpu(pids=(os.getpid(), 999_999_999)), duration_s=0.1)
    assert reading.domains[0].shared_with == ("999999999 (of another container or user)",)


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


def test_a_device_that_cannot_be_opened_harms_no_other() -> None:
    lost = SimulatedGpu(uuid="GPU-lost", lost_from_s=0.0)
    reading, (truth, _) = measure(SimulatedGpu(Constant(100.0), uuid="GPU-fine"), lost)
    fine, gone = reading.domains
    assert fine.energy_j == pytest.approx(truth, rel=0.05)
    assert (gone.name, gone.energy_j) == ("gpu:1", None)
    assert "could not open" in (gone.reason or "")


def test_several_devices_are_told_apart_though_their_counters_tick_at_other_times() -> None:
    gpus = [
        SimulatedGpu(Constant(60.0 + 100 * i), uuid=f"GPU-{i}", phase_s=0.027 * i, jitter=0.03)
        for i in range(4)
    ]
    reading, truth = measure(*gpus, duration_s=10)
    for domain, true_j in zip(reading.domains, truth, strict=True):
        assert domain.energy_j == pytest.approx(true_j, rel=0.002)


def test_a_known_gain_is_taken_out_and_narrows_the_absolute_interval() -> None:
    gpu = SimulatedGpu(Constant(300.0), gain=1.1, offset_w=3.0, uuid="GPU-known")
    known = {"gain": 1.1, "gain_half_width": 0.01, "offset_w": 3.0}
    config = NvmlConfig(passport=False, calibration={"GPU-known": known})
    done = measure_window([gpu], 10, config=config)
    assert done.domain.energy_j == pytest.approx(done.true_j[0], rel=0.001)
    assert done.domain.cross_check_j == pytest.approx(done.true_j[0], rel=0.001)
    assert expanded(done.domain, "absolute") == pytest.approx(0.0115 * done.true_j[0], rel=0.01)
    assert done.reading.samples[-1].power_w == pytest.approx(300.0)
    other = measure_window([SimulatedGpu(Constant(300.0), uuid="GPU-other")], 10, config=config)
    assert expanded(other.domain, "absolute") == pytest.approx(0.121 * 3000, rel=0.01)


def advice(gpu: SimulatedGpu, duration_s: float) -> str:
    """What a result says of the length of its window."""
    reading = measure_window([gpu], duration_s).reading
    energy = record_energy(reading, None, UsedDevices("gpu", frozenset({gpu.uuid})))
    terms = budget(energy.used, None, reading.duration_s)
    told = energy_warnings(EnergyConfig(), energy, terms, reading.duration_s)
    return " ".join(text for text in told if "Between runs" in text)


def test_the_length_that_a_short_window_would_need_is_enough() -> None:
    gpu = SimulatedGpu(Square(100.0, 500.0, 0.37), phase_s=0.04)
    needed_s = float(advice(gpu, 1.0).split("a window of ")[1].split(" s")[0])
    assert needed_s > 1
    assert advice(gpu, 1.5 * needed_s) == ""


@pytest.mark.parametrize("duration_s", [10.0, 100.0, 1000.0])
def test_a_card_without_a_counter_is_told_that_no_longer_window_helps(duration_s: float) -> None:
    """Its sensor looks at 25 ms of 100: what it does not see grows as the energy does."""
    text = advice(SimulatedGpu(Constant(300.0), counter_refresh_s=None), duration_s)
    assert "no longer window would make it 1%, as unseen grows as the energy does" in text
    assert "a window of" not in text
    assert ("Raise n." in text) == (duration_s < 60)


@pytest.mark.parametrize("duration_s", [10.0, 100.0, 1000.0])
def test_a_card_without_a_counter_that_sees_all_the_time_is_told_one_length(
    duration_s: float,
) -> None:
    """Its edges and the scatter between samples do not depend on how long the window was."""
    card = SimulatedGpu(
        Square(100.0, 400.0, 7.0),
        name="Simulated Ada",
        architecture=8,
        counter_refresh_s=None,
        power_window_s=0.1,
    )
    text = advice(card, duration_s)
    assert "no longer window" not in text
    assert ("a window of 1 min 23 s would make it 1%" in text) == (duration_s < 83)


@pytest.mark.parametrize("refresh_s", [0.1, 0.02, None])
@pytest.mark.parametrize("curve", [Constant(300.0), Square(100.0, 500.0, 0.37)], ids=str)
def test_the_energy_of_any_interval_is_within_its_stated_uncertainty(
    curve: Curve, refresh_s: float | None
) -> None:
    card = SimulatedGpu(
        curve, name="Simulated Ada", architecture=8, counter_refresh_s=refresh_s,
        power_window_s=0.1, phase_s=0.013,
    )  # fmt: skip
    clock = VirtualClock()
    with simulated_driver([card], clock=clock) as now:
        origin_s = clock.now() - now()
        sampler = NvmlSampler(SamplerSettings(0.1, NvmlConfig(passport=False)), clock)
        sampler.start()
        clock.sleep(20.0)
        for started_s, length_s in ((3.0, 10.0), (4.567, 1.0), (0.81, 17.77), (7.03, 3.3)):
            reading = sampler.energy_between(origin_s + started_s, origin_s + started_s + length_s)
            (domain,) = reading.domains
            true_j = card.true_joules(started_s, started_s + length_s)
            assert domain.energy_j is not None, domain.reason
            assert abs(domain.energy_j - true_j) <= expanded(domain, "comparison")
            assert expanded(domain, "comparison") <= 0.5 * true_j
            assert reading.duration_s == pytest.approx(length_s)
        early = sampler.energy_between(origin_s + 15.0, clock.now() + 5.0).domains[0]
        assert early.energy_j is None
        assert "interval's end" in (early.reason or "")
        before = sampler.energy_between(origin_s - 5.0, origin_s + 5.0).domains[0]
        assert before.energy_j is None
        sampler.stop()


def test_a_window_that_is_not_open_cannot_be_closed() -> None:
    with sampling(SimulatedGpu(curve=Constant(50.0))) as (sampler, _):
        with pytest.raises(EnergyError, match="No window 'w' is open"):
            sampler.end("w")
        sampler.begin("w")
        sampler.end("w")
        with pytest.raises(EnergyError, match="No window 'w' is open"):
            sampler.end("w")
