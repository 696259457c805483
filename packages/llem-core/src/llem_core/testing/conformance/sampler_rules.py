"""The conformance kit of samplers: the rules of what they read."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import ClassVar, get_args

from llem_core.contracts import (
    DomainKind,
    DomainReading,
    EnergyMethod,
    EnergyReading,
    Growth,
    PowerSample,
)
from llem_core.testing.conformance.rules import breach, rule, skip
from llem_core.testing.conformance.sampler import SamplerLifeRules
from llem_core.testing.conformance.sampler_life import INNER, OUTER

_CLOCK_S = 1e-6
_FACTOR = 4.0
_PLAUSIBLE_W = (1e-4, 1e6)


class SamplerContract(SamplerLifeRules):
    """Checks a sampler against its contract, with or without pytest.

    Where the sampler says that it cannot be used, what needs a meter is skipped with its reason.

    Example::

        class TestScripted(SamplerContract):
            spec = scripted_sampler()

    Attributes:
        power_w: least and greatest power that the meter can show here, in watts; give it to
            have the unit checked closely.
    """

    power_w: ClassVar[tuple[float, float]] = _PLAUSIBLE_W

    @rule("S7", "window-named", "give the reading the name that `begin` was given.")
    def test_s7_window_named(self) -> None:
        """A reading has the name of its window, also when several are open.

        The harness tells by it what was measured.
        """
        for window, reading in self.life().readings.items():
            if reading.window != window:
                breach(f"the reading of {window!r} says {reading.window!r}")

    @rule("S8", "window-times", "take time.monotonic() as `begin` returns and as `end` is called.")
    def test_s8_window_times(self) -> None:
        """A window lasts from the return of `begin` to the call of `end`, by the monotonic clock.

        Joules are divided by it; a wait for the meter's next update belongs outside.
        """
        life = self.life()
        for window, reading in life.readings.items():
            span = life.spans[window]
            for what, time_s, first_s, last_s in (
                ("started_s", reading.started_s, span.begin_called_s, span.begin_returned_s),
                ("ended_s", reading.ended_s, span.end_called_s, span.end_returned_s),
            ):
                if not first_s - _CLOCK_S <= time_s <= last_s + _CLOCK_S:
                    breach(
                        f"{what} is {time_s:.6f} s; the call lasted {first_s:.6f} to {last_s:.6f}"
                    )

    @rule("S9", "domains-named", "name domains by UUID or number, the same in every window.")
    def test_s9_domains_named(self) -> None:
        """A reading has domains, each with a name of its own and a known kind, the same in every
        window.

        Two of one name would be summed as one; a baseline is subtracted by name.
        """
        seen: dict[str, str] | None = None
        for reading in self.life().readings.values():
            names = [domain.name for domain in reading.domains]
            if not names or not all(names) or len(set(names)) < len(names):
                breach(f"the domains are named {names}")
            kinds = {domain.name: str(domain.kind) for domain in reading.domains}
            unknown = sorted(set(kinds.values()) - set(get_args(DomainKind)))
            if unknown:
                breach(f"{', '.join(unknown)} is no kind of domain")
            if seen is not None and seen != kinds:
                breach(f"one window has the domains {seen}, another {kinds}")
            seen = kinds

    @rule("S10", "domains-foretold", "name every kind in the `domains` of Availability.")
    def test_s10_domains_foretold(self) -> None:
        """`availability` names the kinds of domain that are read, and no kind is a surprise.

        Whether a sampler sees the device of an experiment is decided by them.
        """
        foretold = set(self.available().domains)
        read = {domain.kind for _, domain in self.life().domains()}
        if read - foretold:
            breach(f"{', '.join(sorted(read - foretold))} is read, but not foretold")

    @rule("S11", "null-has-reason", "set `reason` where energy_j is None, and only there.")
    def test_s11_null_has_reason(self) -> None:
        """A domain without energy says why, and one with energy has no such reason.

        A missing reading is null with a reason, never 0.
        """
        for _, domain in self.life().domains():
            told = bool((domain.reason or "").strip())
            if (domain.energy_j is None) != told:
                breach(f"{domain.name}: energy_j is {domain.energy_j}, reason {domain.reason!r}")

    @rule("S12", "energy-sane", "treat a counter that went back or stood still as a lost reading.")
    def test_s12_energy_sane(self) -> None:
        """Energy is a finite number of joules, and not negative.

        A counter that wrapped or was reset leaves no reading, not a negative one.
        """
        for _, domain in self.life().domains():
            for name in ("energy_j", "cross_check_j"):
                energy_j = getattr(domain, name)
                if energy_j is not None and not (math.isfinite(energy_j) and energy_j >= 0):
                    breach(f"{name} of {domain.name} is {energy_j}")

    @rule("S13", "method-told", "give measured energy its uncertainty, and an estimate none.")
    def test_s13_method_told(self) -> None:
        """The method is `counter`, `integrated` or `estimated`; measured energy has an uncertainty
        budget, and an estimate has none.

        Nobody knows how wrong an estimate is; a budget would say that somebody does.
        """
        for _, domain in self.life().domains():
            if domain.method not in get_args(EnergyMethod):
                breach(f"the method of {domain.name} is {domain.method!r}")
            if domain.energy_j is None:
                continue
            if domain.method == "estimated" and domain.uncertainty:
                breach(f"{domain.name} is estimated and has an uncertainty")
            if domain.method != "estimated" and not domain.uncertainty:
                breach(f"{domain.name} is measured and has no uncertainty")

    @rule("S14", "uncertainty-sane", "give standard uncertainties (k = 1) in joules.")
    def test_s14_uncertainty_sane(self) -> None:
        """Terms of the budget are finite joules, not negative, of a known growth; a resolution is
        more than 0.

        They are added in squares to the uncertainty that the result states.
        """
        for _, domain in self.life().domains():
            for term in domain.uncertainty:
                if not (math.isfinite(term.standard_j) and term.standard_j >= 0):
                    breach(f"{term.name} of {domain.name} is {term.standard_j} J")
                if term.growth not in get_args(Growth):
                    breach(f"the growth of {term.name} is {term.growth!r}")
            resolution_j = domain.resolution_j
            if resolution_j is not None and not (math.isfinite(resolution_j) and resolution_j > 0):
                breach(f"resolution_j of {domain.name} is {resolution_j}")

    @rule(
        "S15",
        "energy-in-joules",
        "give joules and watts; llem_core.units converts.",
    )
    def test_s15_energy_in_joules(self) -> None:
        """Energy over the window is the mean of its power samples, within a factor of 4, and lies
        within `power_w`.

        Millijoules, watt-hours and joules an hour are all far off.
        """
        for reading, domain in self.life().domains():
            if not domain.energy_j or reading.duration_s <= 0:
                continue
            mean_w = domain.energy_j / reading.duration_s
            least_w, greatest_w = self.power_w
            if not least_w <= mean_w <= greatest_w:
                breach(f"{domain.name} drew {mean_w:g} W; {least_w:g} to {greatest_w:g} W can be")
            sampled_w = _mean_power_w(reading, domain)
            if sampled_w and not 1 / _FACTOR <= mean_w / sampled_w <= _FACTOR:
                breach(f"{domain.name} drew {mean_w:g} W by energy and {sampled_w:g} W by samples")

    @rule("S16", "windows-nest", "keep the state of each window under its name.")
    def test_s16_windows_nest(self) -> None:
        """A window has no less energy than one that lies within it.

        A meter that starts again at every `begin` reads the tail of the outer window only.
        """
        readings = self.life().readings
        inner = {domain.name: domain for domain in readings[INNER].domains}
        for outer in readings[OUTER].domains:
            within = inner.get(outer.name)
            if within is None or within.energy_j is None or outer.energy_j is None:
                continue
            slack_j = 0.1 * within.energy_j + 2 * (outer.resolution_j or 0.0)
            if outer.energy_j < within.energy_j - slack_j:
                breach(f"{outer.name}: {outer.energy_j:g} J around {within.energy_j:g} J")

    @rule("S17", "samples-in-window", "give the samples of the window alone, oldest first.")
    def test_s17_samples_in_window(self) -> None:
        """Samples lie within their window by the monotonic clock, oldest first, and are of domains
        that the reading has.

        They become rows of the time series, which puts them into phases by their time.
        """
        for reading in self.life().readings.values():
            names = {domain.name for domain in reading.domains}
            first_s, last_s = reading.started_s - _CLOCK_S, reading.ended_s + _CLOCK_S
            for sample in reading.samples:
                if not first_s <= sample.time_s <= last_s:
                    breach(
                        f"a sample at {sample.time_s:.6f} s, outside {first_s:.6f} to {last_s:.6f}"
                    )
                if sample.domain not in names:
                    breach(f"a sample of {sample.domain!r}, which the reading does not have")
            if any(later.time_s < earlier.time_s for earlier, later in pairwise(reading.samples)):
                breach("the samples are not in the order of their times")

    @rule("S18", "samples-in-units", "convert to W, °C, %, bytes and Hz; None for what is unknown.")
    def test_s18_samples_in_units(self) -> None:
        """Samples have watts, degrees Celsius, percent, bytes and hertz in their usual ranges.

        Megahertz and mebibytes are a factor of a million too small.
        """
        for reading in self.life().readings.values():
            for sample in reading.samples:
                for name, least, greatest in _RANGES:
                    value = getattr(sample, name)
                    if value and not least <= value <= greatest:
                        breach(f"{name} is {value:g}; {least:g} to {greatest:g} can be")

    @rule("S19", "facts-in-json", "give facts of JSON types, and warnings as sentences.")
    def test_s19_facts_in_json(self) -> None:
        """`sensor` can be written as JSON, and warnings are sentences.

        Both go into the result as they are.
        """
        for reading in self.life().readings.values():
            json.dumps(reading.sensor, allow_nan=False)
            if not all(isinstance(text, str) and text.strip() for text in reading.warnings):
                breach(f"the warnings are {reading.warnings!r}")

    @rule("S20", "interval-agrees", "give the interval's own energy, by the monotonic clock.")
    def test_s20_interval_agrees(self) -> None:
        """The energy between two times is that of a window with the same edges, within the
        uncertainty of both and a tenth.

        A clock that is not converted, or a time that is taken for the meter's, is far off.
        """
        life = self.life()
        if life.interval is None:
            skip("it measures windows alone")
        windows = {domain.name: domain for domain in life.readings[INNER].domains}
        for domain in life.interval.domains:
            window = windows.get(domain.name)
            if window is None or window.energy_j is None or domain.energy_j is None:
                continue
            terms = [t.standard_j for d in (domain, window) for t in d.uncertainty]
            slack_j = 2 * math.fsum(terms) + 0.1 * window.energy_j
            if abs(domain.energy_j - window.energy_j) > slack_j:
                breach(
                    f"{domain.name}: {domain.energy_j:g} J between the times of a window of "
                    f"{window.energy_j:g} J"
                )

    @rule("S21", "interval-unknown", "give None with a reason for what is not known yet.")
    def test_s21_interval_unknown(self) -> None:
        """An interval that is not over has no energy yet, and a reason.

        Who asks too early must not take the part that is known for the whole.
        """
        life = self.life()
        if life.future is None:
            skip("it measures windows alone")
        for domain in life.future.domains:
            if domain.energy_j is not None or not (domain.reason or "").strip():
                breach(f"{domain.name}: {domain.energy_j} J until an hour from now")


_RANGES = (
    ("power_w", 1e-4, 1e6),
    ("temperature_c", -60.0, 200.0),
    ("utilisation_percent", 0.0, 100.0),
    ("memory_bytes", 2**16, 2**50),
    ("sm_clock_hz", 1e6, 1e11),
    ("memory_clock_hz", 1e6, 1e11),
)


def _mean_power_w(reading: EnergyReading, domain: DomainReading) -> float | None:
    powers_w = [s.power_w for s in _own(reading, domain) if s.power_w is not None]
    return math.fsum(powers_w) / len(powers_w) if len(powers_w) >= 2 else None


def _own(reading: EnergyReading, domain: DomainReading) -> list[PowerSample]:
    return [sample for sample in reading.samples if sample.domain == domain.name]
