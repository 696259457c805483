"""A baseline waits for a device that still cools, and no longer than it is told to."""

from __future__ import annotations

import pytest
from llem_core.contracts import DomainReading, EnergyReading, SamplerSettings, UsedDevices
from llem_core.measure.baseline.power import part_powers
from llem_core.measure.baseline.trend import is_cooling, trend_w
from llem_core.measure.energy.meter import Meter
from llem_core.measure.energy.select import SelectedSampler
from llem_core.testing import ScriptedSampler

USED = UsedDevices("gpu", frozenset({"GPU-a"}))


class Cooling(ScriptedSampler):
    """Each part draws less than the one before it, down to idle."""

    powers_w = (90.0, 84.0, 79.0, 75.0, 72.0, 70.0, 68.0, 66.0, 64.0, 62.0, 61.0)

    def end(self, window: str) -> EnergyReading:
        part = int(window.rpartition("-")[2])
        power_w = self.powers_w[part] if part < len(self.powers_w) else 60.0 + 0.1 * (part % 2)
        reading = super().end(window)
        domain = DomainReading("GPU-a", "gpu", power_w * reading.duration_s, "counter")
        return EnergyReading(window, reading.started_s, reading.ended_s, (domain,))


def parts_w(longest_wait_s: float) -> list[float]:
    meter = Meter(SelectedSampler(Cooling(SamplerSettings(0.1)), "cooling"))
    readings = meter.idle(
        "baseline",
        0.01,
        5,
        lambda *_: None,
        lambda parts: not is_cooling(part_powers(parts, USED)),
        longest_wait_s,
    )
    return part_powers(readings, USED)


def test_it_waits_until_power_no_longer_falls() -> None:
    found = parts_w(longest_wait_s=10.0)
    assert len(found) == 5
    assert found == pytest.approx([60.0] * 5, abs=1.2)
    assert not is_cooling(found)


def test_it_waits_no_longer_than_it_may() -> None:
    assert parts_w(longest_wait_s=0.0) == pytest.approx([90.0, 84.0, 79.0, 75.0, 72.0])
    assert parts_w(longest_wait_s=0.004) == pytest.approx([79.0, 75.0, 72.0, 70.0, 68.0])


def test_a_trend_is_told_from_scatter() -> None:
    assert trend_w([100.0, 96.0, 92.0, 88.0, 84.0]) == pytest.approx(-16.0)
    assert trend_w([60.0, 64.0, 59.0, 63.0, 60.0]) is None
    assert trend_w([100.0, 99.9, 99.8, 99.7, 99.6]) is None
    assert trend_w([70.0] * 5) is None
    assert trend_w([90.0, 60.0]) is None
