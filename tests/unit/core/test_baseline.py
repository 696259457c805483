"""A baseline that was not idle is noticed, with the reason; one that was is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from llem_core.contracts import UsedDevices
from llem_core.contracts.sampler import (
    DomainReading,
    EnergyReading,
    PowerSample,
    UncertaintyComponent,
)
from llem_core.measure.baseline.checks import baseline_warnings, is_unsound
from llem_core.measure.baseline.power import BaselineReadings, baseline_power

PART_S = 6.0


def idle(
    powers_w: Sequence[float | None],
    *,
    busy_percent: float | None = None,
    strangers: tuple[str, ...] = (),
    edges_j: float = 0.1,
    cached: bool = False,
    method: str = "counter",
) -> BaselineReadings:
    readings = []
    for number, power_w in enumerate(powers_w):
        start_s = 100 + number * PART_S
        domain = DomainReading(
            "GPU-a",
            "gpu",
            None if power_w is None else power_w * PART_S,
            method,  # type: ignore[arg-type]
            reason="it fell off" if power_w is None else None,
            label="Some GPU",
            uncertainty=(UncertaintyComponent("edges", edges_j),),
            shared_with=strangers,
        )
        rows = tuple(
            PowerSample(start_s + i, "GPU-a", power_w, utilisation_percent=busy_percent)
            for i in range(int(PART_S))
        )
        readings.append(EnergyReading(f"p{number}", start_s, start_s + PART_S, (domain,), rows))
    return BaselineReadings(readings, 100 + len(powers_w) * PART_S, cached, "key")


def warnings(baseline: BaselineReadings) -> str:
    return " ".join(
        baseline_warnings(baseline, "before load", UsedDevices("gpu", frozenset({"GPU-a"})))
    )


STEADY = (70.0, 70.3, 69.8, 70.1, 69.9)


def test_an_idle_device_raises_no_doubt() -> None:
    baseline = idle(STEADY, busy_percent=0.0)
    assert warnings(baseline) == ""
    assert not is_unsound(baseline, UsedDevices("gpu", frozenset({"GPU-a"})))


@pytest.mark.parametrize(
    ("baseline", "told"),
    [
        (idle(STEADY, strangers=("77 python",)), "other processes were on Some GPU (77 python)"),
        (idle(STEADY, busy_percent=40.0), "busy for 40 % of the time"),
        (idle((90.0, 84.0, 80.0, 77.0, 75.0)), "still cooling"),
        (idle((70.0, 72.0, 74.5, 76.0, 78.0)), "something was starting"),
        (idle((70.0, 110.0, 70.0, 115.0, 70.0)), "varied by"),
    ],
)
def test_each_disturbance_is_told(baseline: BaselineReadings, told: str) -> None:
    assert told in warnings(baseline)
    assert warnings(baseline).startswith("The baseline before load was not idle: ")
    assert is_unsound(baseline, UsedDevices("gpu", frozenset({"GPU-a"})))


def test_chance_is_no_trend() -> None:
    assert warnings(idle((72.0, 69.0, 71.5, 68.5, 70.0))) == ""


def test_the_work_of_the_second_before_is_not_the_baselines() -> None:
    baseline = idle(STEADY, busy_percent=0.0)
    first = baseline.readings[0]
    stale = PowerSample(first.started_s + 0.5, "GPU-a", 70.0, utilisation_percent=100.0)
    readings = [
        EnergyReading("p", first.started_s, first.ended_s, first.domains, (stale,) * 50),
        *baseline.readings[1:],
    ]
    assert warnings(BaselineReadings(readings, baseline.ended_s, False, "key")) == ""


def test_a_part_without_a_reading_makes_no_baseline() -> None:
    baseline = idle((70.0, 70.0, None, 70.0, 70.0))
    figures = baseline_power(baseline, UsedDevices("gpu", frozenset({"GPU-a"})), opened_s=140.0)
    assert figures.power_w is None
    assert figures.reason == "Some GPU: it fell off"
    assert is_unsound(baseline, UsedDevices("gpu", frozenset({"GPU-a"})))


def test_spread_and_meter_are_not_counted_twice() -> None:
    scattered = baseline_power(
        idle((60.0, 65.0, 70.0, 75.0, 80.0)), UsedDevices("gpu", frozenset({"GPU-a"})), 140.0
    )
    # √2 times s = 7.906 W over √5; the meter's √5·0.1 J over 30 s is far below and adds nothing
    assert scattered.standard_uncertainty_w == pytest.approx(2**0.5 * 7.90569 / 5**0.5)
    assert scattered.trend_w == pytest.approx(20.0)
    assert scattered.age_s == pytest.approx(10.0)
    floor = baseline_power(
        idle((70.0,) * 5, edges_j=6.0), UsedDevices("gpu", frozenset({"GPU-a"})), 140.0
    )
    assert floor.standard_uncertainty_w == pytest.approx(5**0.5 * 6.0 / 30.0)


def test_a_cached_baseline_is_less_certain() -> None:
    parts = (60.0, 65.0, 70.0, 75.0, 80.0)
    cached = baseline_power(
        idle(parts, cached=True), UsedDevices("gpu", frozenset({"GPU-a"})), 140.0
    )
    assert cached.cached
    assert cached.standard_uncertainty_w == pytest.approx(2**0.5 * 7.90569 * 1.2**0.5)
