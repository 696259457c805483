"""A meter elsewhere: it samples once a second, answers late, and has a clock of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

from llem_core.contracts import (
    DomainKind,
    DomainReading,
    EnergyReading,
    EnergySampler,
    SamplerSettings,
)
from llem_core.meters import PowerHistory, gain
from llem_core.testing.power import PowerScript


class LateMeter(EnergySampler):
    """Reads scripted power as a remote meter would: by intervals, and later.

    It has ``energy_between`` alone; ``begin`` and ``end`` come from the contract.

    Args:
        settings: as for any sampler.
        script: the true power; times count from ``start``.
        kind: what the meter measures.
        late_s: how long after its moment a value can be read (s).
        clock_offset_s: what its clock shows less the monotonic one (s).
        clock_offset_half_width_s: how well that is known (s).
        clock, sleep: monotonic seconds, and how to wait.

    Example::

        clock = ManualClock()
        meter = LateMeter(
            SamplerSettings(1.0), PowerScript((0.0, 100.0)), late_s=5.0, clock=clock,
            sleep=clock.sleep,
        )
        meter.start()
        clock.sleep(20.0)
        assert meter.energy_between(3.0, 9.0).domains[0].energy_j == 600.0
        assert meter.energy_between(3.0, 18.0).domains[0].energy_j is None  # not known yet
        meter.stop()
    """

    def __init__(
        self,
        settings: SamplerSettings,
        script: PowerScript,
        *,
        kind: DomainKind = "gpu",
        late_s: float = 2.0,
        clock_offset_s: float = 0.0,
        clock_offset_half_width_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(settings)
        self._script = script
        self._kind: DomainKind = kind
        self._late_s = late_s
        self._offset_s = clock_offset_s
        self._offset_half_width_s = clock_offset_half_width_s
        self._clock = clock
        self._sleep = sleep
        self._origin_s = 0.0

    @property
    def delay_s(self) -> float:
        """Its lateness, and the time to its next value."""
        return self._late_s + self.settings.sample_interval_s

    def start(self) -> None:
        """Scripts begin here."""
        self._origin_s = self._clock()

    def energy_between(self, started_s: float, ended_s: float) -> EnergyReading:
        """From the values that have arrived by now."""
        history = PowerHistory(self._offset_s, self._offset_half_width_s)
        known_s = self._clock() - self._late_s - self._origin_s
        step_s = self.settings.sample_interval_s
        for count in range(int(known_s / step_s) + 1 if known_s >= 0 else 0):
            taken_s = count * step_s
            own_s = self._origin_s + taken_s + self._offset_s
            history.add(own_s, self._script.power_w(taken_s))
        found = history.energy(started_s, ended_s)
        terms = () if found.energy_j is None else (*found.terms, gain(found.energy_j, 0.01))
        domain = DomainReading(
            "late", self._kind, found.energy_j, "integrated", found.reason, uncertainty=terms
        )
        samples = history.samples("late", started_s, ended_s)
        facts: dict[str, object] = {"clock_offset_s": self._offset_s, "late_s": self._late_s}
        return EnergyReading("interval", started_s, ended_s, (domain,), samples, facts)

    def stop(self) -> None:
        """Nothing to close."""

    def now_s(self) -> float:
        """Monotonic time, by the meter's own double of it."""
        return self._clock()

    def wait(self, duration_s: float) -> None:
        """Let time pass."""
        self._sleep(duration_s)
