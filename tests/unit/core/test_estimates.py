"""Measured and estimated energy are never one sum."""

from __future__ import annotations

import pytest
from llem_core.contracts import DomainReading, EnergyMethod, EnergyReading, UsedDevices
from llem_core.measure.baseline.power import BaselineReadings, baseline_power
from llem_core.measure.energy.totals import record_energy, used_domains

GPU = UsedDevices("gpu", frozenset({"GPU-a"}))
CPU = UsedDevices("cpu")


def reading(
    gpu: EnergyMethod = "counter", cpu: EnergyMethod = "estimated", ram: EnergyMethod = "estimated"
) -> EnergyReading:
    return EnergyReading(
        "w",
        0.0,
        10.0,
        (
            DomainReading("GPU-a", "gpu", 3000.0, gpu),
            DomainReading("cpu", "cpu", 500.0, cpu),
            DomainReading("ram", "dram", 50.0, ram),
        ),
    )


def test_beside_a_measured_gpu_estimates_of_the_host_stand_apart() -> None:
    energy = record_energy(reading(), None, GPU)
    assert (energy.total_j, energy.method) == (3000.0, "counter")
    assert [domain.name for domain in energy.used] == ["GPU-a"]
    assert energy.breakdown is not None
    assert energy.breakdown.estimated_j == 550.0
    assert (energy.breakdown.cpu_j, energy.breakdown.dram_j) == (None, None)
    used = {domain.name: domain.used for domain in energy.breakdown.domains}
    assert used == {"GPU-a": True, "cpu": False, "ram": False}


def test_measured_domains_are_summed_and_the_estimated_one_is_not() -> None:
    energy = record_energy(reading(cpu="counter"), None, CPU)
    assert (energy.total_j, energy.method) == (500.0, "counter")
    assert energy.breakdown is not None
    assert energy.breakdown.estimated_j == 50.0


def test_where_nothing_measures_the_device_the_total_is_an_estimate_and_of_estimates() -> None:
    energy = record_energy(reading(), None, CPU)
    assert (energy.total_j, energy.method) == (550.0, "estimated")
    assert energy.breakdown is not None
    assert energy.breakdown.estimated_j is None
    mixed = record_energy(reading(ram="counter"), None, CPU)
    assert (mixed.total_j, mixed.method) == (500.0, "estimated")


def test_the_baseline_is_of_the_domains_of_the_total() -> None:
    parts = [reading() for _ in range(5)]
    idle = baseline_power(BaselineReadings(parts, 50.0, False, "key"), GPU, 50.0)
    assert idle.power_w == pytest.approx(300.0)
    assert [domain.name for domain in used_domains(parts[0], GPU)] == ["GPU-a"]
