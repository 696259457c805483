"""One life of a sampler, recorded for the rules to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from llem_core.contracts import DomainReading, EnergyReading, EnergySampler
from llem_core.testing.conformance.rules import breach

_FAR_S = 3600.0
OUTER, INNER, OVERLAP = "kit-outer", "kit-inner", "kit-overlap"


@dataclass(frozen=True, slots=True)
class Span:
    """When a window's methods were called and when they returned, by the kit's clock (s)."""

    begin_called_s: float
    begin_returned_s: float
    end_called_s: float
    end_returned_s: float


@dataclass
class SamplerLife:
    """What a sampler read: an outer window, one nested in it, and one that overlaps its end; of a
    sampler that answers intervals, that of the inner window, and one that is not over."""

    readings: dict[str, EnergyReading] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    interval: EnergyReading | None = None
    future: EnergyReading | None = None

    def domains(self) -> Iterator[tuple[EnergyReading, DomainReading]]:
        """Every domain of every reading."""
        for reading in self.readings.values():
            for domain in reading.domains:
                yield reading, domain


def live(
    sampler: EnergySampler,
    window_s: float,
    clock: Callable[[], float],
    wait: Callable[[float], None],
) -> SamplerLife:
    """Take a sampler through its life, in the order of the harness.

    Whatever it raises is raised, after ``stop``.
    """
    life = SamplerLife()
    begun: dict[str, tuple[float, float]] = {}

    def begin(window: str) -> None:
        called_s = clock()
        sampler.begin(window)
        begun[window] = (called_s, clock())

    def end(window: str) -> None:
        called_s = clock()
        reading = sampler.end(window)
        if not isinstance(reading, EnergyReading):
            breach(f"`end` gave {type(reading).__name__}, not an EnergyReading")
        life.readings[window] = reading
        life.spans[window] = Span(*begun[window], called_s, clock())

    try:
        sampler.start()
        begin(OUTER)
        wait(window_s / 2)
        begin(INNER)
        wait(window_s)
        end(INNER)
        begin(OVERLAP)
        wait(window_s / 2)
        end(OUTER)
        wait(window_s / 2)
        end(OVERLAP)
        if sampler.answers_intervals:
            wait(sampler.delay_s)
            inner = life.readings[INNER]
            life.interval = sampler.energy_between(inner.started_s, inner.ended_s)
            life.future = sampler.energy_between(inner.started_s, clock() + _FAR_S)
    finally:
        sampler.stop()
    return life
