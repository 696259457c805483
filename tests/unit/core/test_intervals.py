"""Energy of any interval: late samples, a clock of the meter's own, and windows from intervals."""

from __future__ import annotations

import math

import pytest
from llem_core.contracts import DomainReading, SamplerSettings, SamplerSpec
from llem_core.contracts.hookspecs import Availability
from llem_core.measure.energy.meter import Meter
from llem_core.measure.energy.select import SelectedSampler
from llem_core.meters import PowerHistory
from llem_core.testing import (
    LateMeter,
    ManualClock,
    PowerScript,
    SamplerContract,
    ScriptedSampler,
    run_contract,
)

SETTINGS = SamplerSettings(sample_interval_s=1.0)
STEP = PowerScript((0.0, 100.0), (30.5, 400.0))


def late(clock: ManualClock, script: PowerScript = STEP, **facts: float) -> LateMeter:
    meter = LateMeter(SETTINGS, script, clock=clock, sleep=clock.sleep, **facts)  # type: ignore[arg-type]
    meter.start()
    return meter


def bound_j(domain: DomainReading) -> float:
    return 2 * math.hypot(*(t.standard_j for t in domain.uncertainty))


@pytest.mark.parametrize("offset_s", [0.0, 1e6, -37.25])
def test_a_meter_with_a_clock_of_its_own_gives_the_energy_of_our_interval(offset_s: float) -> None:
    clock = ManualClock(500.0)
    meter = late(clock, clock_offset_s=offset_s)
    clock.sleep(60.0)
    (domain,) = meter.energy_between(520.0, 540.0).domains
    true_j = 10.5 * 100 + 9.5 * 400
    assert domain.energy_j == pytest.approx(true_j, abs=150.0)
    assert abs((domain.energy_j or 0) - true_j) <= bound_j(domain)


def test_what_is_not_known_of_the_clock_is_a_term_as_large_as_the_step_it_moves() -> None:
    clock = ManualClock()
    meter = late(clock, clock_offset_half_width_s=0.5)
    clock.sleep(60.0)
    terms = {t.name: t for t in meter.energy_between(20.0, 40.0).domains[0].uncertainty}
    assert terms["clock_offset"].standard_j == pytest.approx(0.5 * 300 / math.sqrt(3))
    assert terms["clock_offset"].growth == "constant"


def test_asked_too_early_there_is_no_energy_and_a_little_later_there_is() -> None:
    clock = ManualClock()
    meter = late(clock, late_s=5.0)
    clock.sleep(20.0)
    (early,) = meter.energy_between(10.0, 20.0).domains
    assert early.energy_j is None
    assert "not known yet" in (early.reason or "")
    clock.sleep(meter.delay_s)
    assert meter.energy_between(10.0, 20.0).domains[0].energy_j == pytest.approx(1000.0)


def test_a_sampler_of_intervals_has_windows() -> None:
    clock = ManualClock()
    meter = late(clock)
    clock.sleep(3.0)
    meter.begin("outer")
    clock.sleep(4.0)
    meter.begin("inner")
    clock.sleep(10.0)
    inner = meter.end("inner")
    outer = meter.end("outer")
    assert (inner.window, inner.started_s, inner.ended_s) == ("inner", 7.0, 17.0)
    assert inner.domains[0].energy_j == pytest.approx(1000.0)
    assert outer.started_s == 3.0
    assert (outer.domains[0].energy_j or 0) > 1400.0


def test_the_meter_waits_until_the_energy_is_known() -> None:
    clock = ManualClock()
    meter = Meter(SelectedSampler(late(clock, late_s=8.0), "late"))
    clock.sleep(20.0)
    reading = meter.between(10.0, 20.0)
    assert reading is not None
    assert reading.domains[0].energy_j == pytest.approx(1000.0)
    assert clock() == pytest.approx(29.0)


def test_of_a_sampler_of_windows_an_interval_is_the_part_of_one() -> None:
    clock = ManualClock()
    sampler = ScriptedSampler(SETTINGS, domains=[("gpu", "gpu", STEP)], clock=clock)
    sampler.start()
    meter = Meter(SelectedSampler(sampler, "scripted"))
    meter.begin("session")
    clock.sleep(60.0)
    session = meter.end("session")
    part = meter.between(20.0, 40.0, session)
    assert part is not None
    (domain,) = part.domains
    assert (part.started_s, part.ended_s, domain.method) == (20.0, 40.0, "integrated")
    assert abs((domain.energy_j or 0) - (10.5 * 100 + 9.5 * 400)) <= bound_j(domain)
    beyond = meter.between(50.0, 70.0, session)
    assert beyond is not None
    assert beyond.domains[0].energy_j is None
    assert meter.between(20.0, 40.0) is None


def test_values_may_arrive_out_of_order() -> None:
    history = PowerHistory()
    for second in (3.0, 1.0, 0.0, 2.0):
        history.add(second, 100.0 * second)
    assert history.energy(0.0, 3.0).energy_j == pytest.approx(450.0)


def test_a_late_meter_keeps_the_contract() -> None:
    clock = ManualClock(100.0)

    class Kit(SamplerContract):
        spec = SamplerSpec(
            "late",
            "Late.",
            0,
            lambda s: LateMeter(s, PowerScript((0.0, 50.0)), clock=clock, sleep=clock.sleep),
            lambda: Availability(True, "here", ("gpu",)),
        )
        window_s = 4.0
        sample_interval_s = 0.5
        import_ratio = 9.0  # its module is this one, which imports the kit

    Kit.clock, Kit.wait = staticmethod(clock), staticmethod(clock.sleep)
    outcomes = run_contract(Kit)
    assert [o for o in outcomes.values() if o.state == "failed"] == []
    assert outcomes["S20"].state == outcomes["S21"].state == "passed"
