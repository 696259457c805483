"""Idle power by a meter that answers late: its parts are asked for when all are over."""

from collections.abc import Sequence

import pytest
from llem_core.contracts import EnergyReading, SamplerSettings
from llem_core.measure.energy.meter import Meter
from llem_core.measure.energy.select import SelectedSampler
from llem_core.testing import LateMeter, ManualClock, PowerScript


def late(clock: ManualClock, *steps: tuple[float, float]) -> Meter:
    meter = LateMeter(
        SamplerSettings(1.0), PowerScript(*steps), late_s=60.0, clock=clock, sleep=clock.sleep
    )
    meter.start()
    clock.sleep(10.0)
    return Meter(SelectedSampler(meter, "late"))


def powers_w(readings: Sequence[EnergyReading]) -> list[float]:
    return [(r.domains[0].energy_j or 0.0) / r.duration_s for r in readings]


def test_the_parts_follow_each_other_and_the_wait_is_for_all_of_them() -> None:
    clock = ManualClock()
    told: list[float] = []
    meter = late(clock, (0.0, 70.0))
    readings = meter.idle("idle", 30.0, 5, lambda done_s, *_: told.append(done_s))
    assert powers_w(readings) == pytest.approx([70.0] * 5)
    assert [r.started_s for r in readings] == pytest.approx([10.0, 16.0, 22.0, 28.0, 34.0])
    assert clock() == pytest.approx(10.0 + 30.0 + 61.0)
    assert max(told) < 30.0


def test_a_device_that_is_not_settled_is_given_further_parts() -> None:
    meter = late(ManualClock(), (0.0, 100.0), (150.0, 70.0))
    readings = meter.idle(
        "idle", 30.0, 5, lambda *_: None, lambda parts: powers_w(parts)[-1] < 71.0, 60.0
    )
    assert len(readings) == 5
    assert powers_w(readings)[-1] == pytest.approx(70.0)
