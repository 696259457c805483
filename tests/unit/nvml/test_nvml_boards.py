"""Boards that are not what they seem: superchips, MIG, denied cards, old drivers, names."""

from __future__ import annotations

import pytest
from llem_core.contracts import EnergyReading, SamplerSettings, UsedDevices
from llem_core.measure.energy.totals import record_energy
from llem_energy_nvml.config import NvmlConfig
from llem_energy_nvml.device import Device
from llem_energy_nvml.probe.measure import probe_device
from llem_energy_nvml.sampler import NvmlSampler
from llem_energy_nvml.sensor import assumed_sensor, power_field
from llem_energy_nvml.testing import (
    Constant,
    SimulatedGpu,
    Square,
    VirtualClock,
    measure_window,
    simulated_driver,
)

A, B = "GPU-00000000-0000-0000-0000-00000000000a", "GPU-00000000-0000-0000-0000-00000000000b"
PART = "MIG-11111111-0000-0000-0000-000000000000"


def measured(*gpus: SimulatedGpu, duration_s: float = 5.0) -> EnergyReading:
    return measure_window(gpus, duration_s).reading


def test_on_a_superchip_counter_and_power_are_both_the_modules_and_it_says_so() -> None:
    done = measure_window([SimulatedGpu(Constant(300.0), module=Constant(550.0))], 10.0)
    assert done.domain.energy_j == pytest.approx(5500.0, rel=0.005)
    assert done.domain.cross_check_j == pytest.approx(5500.0, rel=0.005)
    assert "module" in (done.domain.label or "")
    plain = measure_window([SimulatedGpu(Constant(300.0))], 10.0)
    assert plain.domain.energy_j == pytest.approx(3000.0, rel=0.005)
    assert "module" not in (plain.domain.label or "")


def test_a_mig_instance_is_found_on_its_board_and_the_reason_has_a_remedy() -> None:
    board = SimulatedGpu(uuid=A, mig=True, mig_uuids=("MIG-0", PART))
    reading = measured(board, SimulatedGpu(uuid=B))
    assert reading.domains[0].parts == ("MIG-0", PART)
    energy = record_energy(reading, None, UsedDevices("gpu", frozenset({PART})))
    assert energy.total_j is None
    assert "MIG is on" in (energy.reason or "")
    assert "`energy.sampler: zeus`" in (energy.reason or "")


def test_a_denied_card_keeps_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    reading = measured(SimulatedGpu(uuid=A, denied=True), SimulatedGpu(uuid=B))
    seen = {domain.name: domain for domain in reading.domains}
    assert seen[B].visible is True
    assert seen["gpu:0"].energy_j is None
    energy = record_energy(reading, None, UsedDevices("gpu"))
    assert energy.total_j == seen[B].energy_j


@pytest.mark.parametrize(
    ("legacy", "told"), [(False, ("board_limit",)), (True, ("board_limit",)), (None, None)]
)
def test_throttling_is_asked_by_both_names_and_unknown_where_neither_is_there(
    legacy: bool | None, told: tuple[str, ...] | None
) -> None:
    reading = measured(SimulatedGpu(throttle=0x200, legacy_throttle=legacy))
    assert {sample.throttle_reasons for sample in reading.samples} == {told}


class NoLoad:
    def on(self) -> float:
        return 0.0

    def off(self) -> None:
        pass


def test_a_board_without_power_fields_is_probed_for_its_counter() -> None:
    clock = VirtualClock()
    card = SimulatedGpu(Constant(300.0), power_window_s=None, has_legacy_power=False)
    with simulated_driver([card], clock=clock):
        passport = probe_device(Device(0), "driver", clock, NoLoad())
    assert passport.refresh_s == pytest.approx(0.1, rel=0.05)
    assert passport.update_s is None
    assert passport.reasons["window_s"] == passport.reasons["update_s"] == "it has no power field"


@pytest.mark.parametrize(
    ("name", "chip"),
    [
        ("NVIDIA A100-SXM4-80GB", True),
        ("NVIDIA A30", True),
        ("NVIDIA A800-SXM4-80GB", True),
        ("NVIDIA RTX A1000", False),
        ("NVIDIA RTX A1000 Laptop GPU", False),
        ("NVIDIA A10", False),
        ("NVIDIA A3000", False),
    ],
)
def test_the_chip_of_the_a100_is_known_by_whole_names(name: str, chip: bool) -> None:
    ampere = 7
    assert power_field(False, ampere, name) == (
        "legacy_instantaneous" if chip else "legacy_average"
    )
    assert assumed_sensor("instant", ampere, name).window_s == (0.025 if chip else 0.1)


def test_only_visible_cards_are_polled_and_after_loading_only_used_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    cards = [SimulatedGpu(Constant(100.0 + i), uuid=f"GPU-{i}") for i in range(8)]
    clock = VirtualClock()
    with simulated_driver(cards, clock=clock):
        sampler = NvmlSampler(SamplerSettings(0.1, NvmlConfig(passport=False)), clock)
        sampler.start()
        opened = [card.calls for card in cards]
        clock.sleep(10.0)
        polled = [card.calls - before for card, before in zip(cards, opened, strict=True)]
        assert all(count >= 190 for count in polled[:3])
        assert polled[3:] == [0] * 5
        sampler.use_devices(UsedDevices("gpu", frozenset({"GPU-1"})))
        before = [card.calls for card in cards]
        sampler.begin("w")
        clock.sleep(10.0)
        reading = sampler.end("w")
        sampler.stop()
        polled = [card.calls - first for card, first in zip(cards, before, strict=True)]
    assert polled[1] > 190
    assert [polled[0], *polled[2:]] == [2] * 7
    energies = [domain.energy_j for domain in reading.domains]
    assert energies == pytest.approx([10.0 * (100 + i) for i in range(8)], rel=0.06)
    assert energies[1] == pytest.approx(1010.0, rel=0.003)


def test_a_simulated_card_is_busy_above_its_idle_power_alone() -> None:
    card = SimulatedGpu(Square(80.0, 400.0, period_s=2.0))
    clock = VirtualClock()
    with simulated_driver([card], clock=clock):
        device = Device(0)
        seen = []
        for wait_s in (0.5, 1.0, 1.0):
            clock.sleep(wait_s)
            seen.append((device.power_w(), device.utilisation_percent()))
    assert seen == [(400.0, 80.0), (80.0, 0.0), (400.0, 80.0)]
    assert not SimulatedGpu(Constant(70.0)).busy(1.0)
    assert SimulatedGpu(Constant(70.0), idle_w=60.0).busy(1.0)


def test_the_own_context_of_an_earlier_experiment_is_no_other_process() -> None:
    """In a container NVML tells numbers that cannot be looked up, of this process too."""
    own, stranger = 2**22 + 7, 2**22 + 8
    card = SimulatedGpu(Constant(300.0), uuid="GPU-of-two-experiments", pids=(stranger,))
    for _ in range(2):
        clock = VirtualClock()
        with simulated_driver([card], clock=clock):
            sampler = NvmlSampler(SamplerSettings(0.1, NvmlConfig(passport=False)), clock)
            sampler.start()
            sampler.begin("w")
            card.pids = (stranger, own)  # the model is loaded, and its context stays
            clock.sleep(2.0)
            reading = sampler.end("w")
            sampler.stop()
        assert reading.domains[0].shared_with == (f"{stranger} (of another container or user)",)
