"""The probe over simulated devices: it finds what they were made with."""

from __future__ import annotations

from pathlib import Path

import pytest
from llem_energy_nvml.probe.load import same_gpu
from llem_energy_nvml.probe.passports import Passports
from llem_energy_nvml.probe.run import probe_all
from llem_energy_nvml.testing import (
    SimulatedGpu,
    Switched,
    VirtualClock,
    measure_window,
    simulated_driver,
)


class SimulatedLoad:
    """Turns a curve on and off, as torch would a device."""

    def __init__(self, curve: Switched, clock: VirtualClock, origin_s: float) -> None:
        self.curve, self.clock, self.origin_s = curve, clock, origin_s

    def on(self) -> float:
        self.curve.switch(True, self.clock.now() - self.origin_s)
        return self.clock.now()

    def off(self) -> None:
        self.curve.switch(False, self.clock.now() - self.origin_s)


def probed(tmp_path: Path, *, with_load: bool = True, **facts: object):
    curve = Switched(80.0, 420.0)
    settings = {"phase_s": 0.013, "jitter": 0.03, "noise_w": 0.3, **facts}
    gpu = SimulatedGpu(curve, **settings)
    clock = VirtualClock()
    with simulated_driver([gpu], clock=clock):
        load = SimulatedLoad(curve, clock, clock.now())
        (found,) = probe_all(clock, lambda _: load if with_load else None, Passports(tmp_path))
    return gpu, found


@pytest.mark.parametrize("refresh_s", [0.02, 0.1])
@pytest.mark.parametrize(
    "facts",
    [
        {"power_update_s": 0.1, "power_window_s": 0.025},
        {"power_update_s": 0.1, "power_window_s": 0.1},
        {"power_update_s": 0.1, "power_window_s": None, "legacy_window_s": 1.0},
        {"power_update_s": 0.02, "power_window_s": 0.01},
    ],
    ids=["25 of 100 ms", "100 ms", "1 s", "10 of 20 ms"],
)
def test_measured_values_are_those_of_the_device(
    tmp_path: Path, refresh_s: float, facts: dict
) -> None:
    gpu, found = probed(tmp_path, counter_refresh_s=refresh_s, counter_lag_s=0.01, **facts)
    window_s = gpu.power_window_s or gpu.legacy_window_s
    values = found.values
    assert values["counter_refresh_ms"] == pytest.approx(refresh_s * 1e3, rel=0.05)
    assert values["power_update_ms"] == pytest.approx(gpu.power_update_s * 1e3, rel=0.05)
    assert values["power_window_ms"] == pytest.approx(window_s * 1e3, rel=0.2, abs=3)
    assert values["power_lag_ms"] == pytest.approx(0, abs=5)
    assert values["counter_lag_ms"] == pytest.approx(10, abs=5)


def test_a_late_power_field_is_found(tmp_path: Path) -> None:
    _, found = probed(tmp_path, power_lag_s=0.3, power_window_s=0.1)
    assert found.values["power_lag_ms"] == pytest.approx(300, abs=15)


def test_without_a_load_the_rest_is_null_with_a_reason(tmp_path: Path) -> None:
    _, found = probed(tmp_path, with_load=False)
    assert found.values["counter_refresh_ms"] == pytest.approx(100, rel=0.05)
    assert found.values["power_window_ms"] is None
    assert "load" in found.reasons["power_window_ms"]


def test_a_field_that_never_changes_has_no_period(tmp_path: Path) -> None:
    _, found = probed(tmp_path, with_load=False, noise_w=0.0)
    assert found.values["power_update_ms"] is None
    assert "did not change" in found.reasons["power_update_ms"]


def test_results_use_the_passport_and_say_so(tmp_path: Path) -> None:
    gpu, found = probed(tmp_path, counter_refresh_s=0.05, power_window_s=0.1)
    assert Path(found.kept_at or "").parent == tmp_path
    with_it = measure_window([gpu], 5, passports=Passports(tmp_path)).reading
    without = measure_window([gpu], 5, passports=Passports(tmp_path / "none")).reading
    assert with_it.sensor["passport"] is True
    assert without.sensor["passport"] is False
    (facts,) = with_it.sensor["devices"].values()
    assert facts["power_window_s"] == pytest.approx(0.1, rel=0.1)
    assert "measured" in facts["power_field"]


def test_another_driver_or_a_damaged_file_is_no_passport(tmp_path: Path) -> None:
    gpu, found = probed(tmp_path)
    passports = Passports(tmp_path)
    assert passports.load(gpu.uuid, "580.00.simulated") is not None
    assert passports.load(gpu.uuid, "999") is None
    Path(found.kept_at or "").write_text('{"version": 1, "uuid": 7}')
    assert passports.load(gpu.uuid, "580.00.simulated") is None
    Path(found.kept_at or "").write_text("not JSON")
    assert passports.load(gpu.uuid, "580.00.simulated") is None


def test_the_load_runs_on_no_gpu_that_is_not_surely_the_probed_one() -> None:
    bare = "3c54d8a0-0000-0000-0000-000000000001"
    assert same_gpu(f"GPU-{bare}", bare)
    assert not same_gpu(f"GPU-{bare}", bare[:-1] + "2")
    assert not same_gpu(f"GPU-{bare}", bare[:8])
    assert not same_gpu(f"GPU-{bare}", "")
    assert not same_gpu(f"GPU-{bare}", None)
