"""For every rule of samplers, a sampler that breaks it and no other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from llem_core.contracts import (
    Availability,
    DomainReading,
    EnergyReading,
    EnergySampler,
    PowerSample,
    SamplerSettings,
    SamplerSpec,
    UncertaintyComponent,
)
from llem_core.errors import EnergyError
from llem_core.testing import ManualClock, SamplerContract, ScriptedSampler, run_contract
from llem_core.testing.conformance import checks_of


class Right(ScriptedSampler):
    """Keeps every rule; what the wrong ones change is a method of its own."""

    def __init__(self, settings: SamplerSettings, clock: ManualClock) -> None:
        super().__init__(settings, clock=clock)
        self.clock = clock

    def begin(self, window: str) -> None:
        super().begin(window)
        self.clock.sleep(0.01)  # as if it waited for an edge: a stamp of before is too early

    def end(self, window: str) -> EnergyReading:
        reading = super().end(window)
        reading = replace(reading, started_s=reading.started_s + 0.01)
        samples = [s for s in reading.samples if s.time_s >= reading.started_s]
        domains = tuple(self.domain(d, reading) for d in reading.domains)
        changed = tuple(self.sample(s) for s in samples)
        return self.reading(replace(reading, domains=domains, samples=changed))

    def domain(self, domain: DomainReading, reading: EnergyReading) -> DomainReading:
        return domain

    def sample(self, sample: PowerSample) -> PowerSample:
        return sample

    def reading(self, reading: EnergyReading) -> Any:
        return reading


class StartsThread(Right):
    def __init__(self, settings: SamplerSettings, clock: ManualClock) -> None:
        super().__init__(settings, clock)
        self.done = threading.Event()
        threading.Thread(target=self.done.wait, args=(4,)).start()

    def stop(self) -> None:
        self.done.set()


class ReadsNothing(Right):
    def reading(self, reading: EnergyReading) -> Any:
        return None


class StopsOnce(Right):
    state = "closed"

    def start(self) -> None:
        self.state = "open"

    def stop(self) -> None:
        if self.state == "stopped":
            raise RuntimeError("stopped already")
        if self.state == "open":
            self.state = "stopped"


class StopsStartedOnly(Right):
    started = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        if not self.started:
            raise RuntimeError("not started")


class StopsClosedOnly(Right):
    def stop(self) -> None:
        if self._open:
            raise RuntimeError("a window is open")


class RaisesForeign(Right):
    def start(self) -> None:
        raise FileNotFoundError("/run/meter")


class NamesLast(Right):
    last = ""

    def begin(self, window: str) -> None:
        self.last = window
        super().begin(window)

    def reading(self, reading: EnergyReading) -> Any:
        return replace(reading, window=self.last)


class StampsOfWallClock(Right):
    def reading(self, reading: EnergyReading) -> Any:
        # Energy and samples moved with it, so that its other figures are right.
        moved = [replace(s, time_s=s.time_s + 1e9) for s in reading.samples]
        return replace(
            reading,
            started_s=reading.started_s + 1e9,
            ended_s=reading.ended_s + 1e9,
            samples=tuple(moved),
        )


class TwoOfOneName(Right):
    def reading(self, reading: EnergyReading) -> Any:
        return replace(reading, domains=reading.domains * 2)


class NewKind(Right):
    def domain(self, domain: DomainReading, reading: EnergyReading) -> DomainReading:
        return replace(domain, kind="dram")


class NoReason(Right):
    def domain(self, domain: DomainReading, reading: EnergyReading) -> DomainReading:
        return replace(domain, energy_j=None)


class Negative(Right):
    def domain(self, domain: DomainReading, reading: EnergyReading) -> DomainReading:
        return replace(domain, cross_check_j=-1.0)


class Certain(Right):
    def domain(self, domain: DomainReading, reading: EnergyReading) -> DomainReading:
        return replace(domain, uncertainty=())


class EstimateWithBudget(Right):
    def domain(self, domain: DomainReading, reading: EnergyReading) -> DomainReading:
        return replace(domain, method="estimated")


class UncertaintyNan(Right):
    def domain(self, domain: DomainReading, reading: EnergyReading) -> DomainReading:
        return replace(domain, uncertainty=(UncertaintyComponent("edges", float("nan")),))


class IntervalOfItsOwnClock(Right):
    """Takes our times for those of its own clock, which began later."""

    def energy_between(self, started_s: float, ended_s: float) -> EnergyReading:
        reading = _interval(started_s, ended_s, 0.1 * 50.0 * (ended_s - started_s))
        if ended_s <= self.clock():
            return reading
        return replace(reading, domains=(_unknown(),))


class IntervalSoFar(Right):
    """Gives what it has by now for the whole."""

    def energy_between(self, started_s: float, ended_s: float) -> EnergyReading:
        known_s = min(ended_s, self.clock())
        return _interval(started_s, ended_s, 50.0 * (known_s - started_s))


def _interval(started_s: float, ended_s: float, energy_j: float) -> EnergyReading:
    terms = (UncertaintyComponent("edges", 0.1),)
    domain = DomainReading("cpu:0", "cpu", energy_j, "counter", uncertainty=terms)
    return EnergyReading("interval", started_s, ended_s, (domain,))


def _unknown() -> DomainReading:
    return DomainReading("cpu:0", "cpu", None, "counter", reason="not known yet")


class NoResolution(Right):
    def domain(self, domain: DomainReading, reading: EnergyReading) -> DomainReading:
        return replace(domain, resolution_j=0.0)


class Millijoules(Right):
    def domain(self, domain: DomainReading, reading: EnergyReading) -> DomainReading:
        return replace(domain, energy_j=1000 * (domain.energy_j or 0))


class StartsAgain(Right):
    """One counter for all windows: each `begin` starts it again."""

    begun_s = 0.0

    def begin(self, window: str) -> None:
        super().begin(window)
        self.begun_s = self.clock()

    def domain(self, domain: DomainReading, reading: EnergyReading) -> DomainReading:
        return replace(domain, energy_j=50.0 * (reading.ended_s - self.begun_s))

    def reading(self, reading: EnergyReading) -> Any:
        return replace(reading, samples=())  # they would show it too, to S15


class SamplesOfBefore(Right):
    def reading(self, reading: EnergyReading) -> Any:
        early = replace(reading.samples[0], time_s=reading.started_s - 1)
        return replace(reading, samples=(early, *reading.samples))


class SamplesUnordered(Right):
    def reading(self, reading: EnergyReading) -> Any:
        return replace(reading, samples=reading.samples[::-1])


class SamplesOfNobody(Right):
    def sample(self, sample: PowerSample) -> PowerSample:
        return replace(sample, domain="GPU-0")


class Megahertz(Right):
    def sample(self, sample: PowerSample) -> PowerSample:
        return replace(sample, sm_clock_hz=1500.0)


class FactsOfObjects(Right):
    def reading(self, reading: EnergyReading) -> Any:
        return replace(reading, sensor={"meter": object()})


PRESENT = Availability(True, "scripted", ("cpu",))


@dataclass(frozen=True)
class Wrong:
    code: str
    kind: Callable[[SamplerSettings, ManualClock], EnergySampler]
    available: Availability = PRESENT


ABSENT = Availability(False, "there is no meter; plug one in")
WRONG = [
    Wrong("S1", StartsThread),
    Wrong("S2", ReadsNothing),
    Wrong("S3", StopsOnce),
    Wrong("S4", StopsStartedOnly),
    Wrong("S5", StopsClosedOnly),
    Wrong("S6", RaisesForeign, ABSENT),
    Wrong("S7", NamesLast),
    Wrong("S8", StampsOfWallClock),
    Wrong("S9", TwoOfOneName),
    Wrong("S10", NewKind),
    Wrong("S11", NoReason),
    Wrong("S12", Negative),
    Wrong("S13", Certain),
    Wrong("S13", EstimateWithBudget),
    Wrong("S14", UncertaintyNan),
    Wrong("S14", NoResolution),
    Wrong("S15", Millijoules),
    Wrong("S16", StartsAgain),
    Wrong("S17", SamplesOfBefore),
    Wrong("S17", SamplesUnordered),
    Wrong("S17", SamplesOfNobody),
    Wrong("S18", Megahertz),
    Wrong("S19", FactsOfObjects),
    Wrong("S20", IntervalOfItsOwnClock),
    Wrong("S21", IntervalSoFar),
]


def contract(wrong: Wrong) -> type[SamplerContract]:
    clock = ManualClock(100.0)

    def create(settings: SamplerSettings) -> EnergySampler:
        return wrong.kind(settings, clock)

    made = SamplerSpec("meter", "A meter.", 1, create, lambda: wrong.available)
    given = {"spec": made, "clock": clock, "wait": clock.sleep, "window_s": 1.0}
    # This module, which the kit imports anew, imports pytest.
    return type("Tried", (SamplerContract,), {**given, "import_ratio": 9.0})


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.code} {wrong.kind.__name__}")
def test_the_wrong_sampler_breaks_its_rule_and_no_other(wrong: Wrong) -> None:
    outcomes = run_contract(contract(wrong))
    assert [code for code, o in outcomes.items() if o.state == "failed"] == [wrong.code]


def test_the_right_sampler_breaks_none() -> None:
    outcomes = run_contract(contract(Wrong("", Right)))
    assert {code: o.message for code, o in outcomes.items() if o.state == "failed"} == {}
    skipped = [code for code, o in outcomes.items() if o.state == "skipped"]
    assert skipped == ["P2", "P4", "P5", "P6", "S6", "S20", "S21"]


def test_the_absent_sampler_is_skipped_with_its_reason() -> None:
    class Absent(Right):
        def start(self) -> None:
            raise EnergyError("there is no meter; plug one in")

    outcomes = run_contract(contract(Wrong("", Absent, ABSENT)))
    assert "plug one in" in outcomes["S8"].message
    assert outcomes["S6"].state == "passed"
    assert {o.state for o in outcomes.values()} == {"passed", "skipped"}


def test_every_rule_has_a_wrong_sampler() -> None:
    codes = {rule.code for _, rule in checks_of(SamplerContract) if rule.code.startswith("S")}
    assert codes == {wrong.code for wrong in WRONG}
