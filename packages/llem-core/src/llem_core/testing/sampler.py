"""A sampler with scripted power."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from llem_core.contracts import (
    Availability,
    DomainKind,
    DomainReading,
    EnergyMethod,
    EnergyReading,
    EnergySampler,
    PowerSample,
    SamplerSettings,
    SamplerSpec,
    UncertaintyComponent,
)

Domain = tuple[str, DomainKind, float | None]


class ScriptedSampler(EnergySampler):
    """Reads constant power: energy is power × the window's length, exactly.

    Args:
        settings: as for any sampler.
        domains: name, kind and power (W) of each domain; power ``None`` is a broken one.
        method: what it says of its readings.
        fail_at: the call that raises.
        clock: monotonic seconds.

    Attributes:
        calls: ``start``, ``begin <window>``, ``end <window>``, ``stop``, in order.
    """

    def __init__(
        self,
        settings: SamplerSettings,
        *,
        domains: Sequence[Domain] = (("cpu:0", "cpu", 50.0),),
        method: EnergyMethod = "counter",
        fail_at: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(settings)
        self.calls: list[str] = []
        self._domains = domains
        self._method = method
        self._fail_at = fail_at
        self._clock = clock
        self._open: dict[str, float] = {}

    def start(self) -> None:
        """Note the call."""
        self._note("start")

    def begin(self, window: str) -> None:
        """Open a window."""
        self._note(f"begin {window}")
        self._open[window] = self._clock()

    def end(self, window: str) -> EnergyReading:
        """Close a window."""
        ended_s = self._clock()
        self._note(f"end {window}")
        started_s = self._open.pop(window)
        domains = tuple(self._reading(d, ended_s - started_s) for d in self._domains)
        samples = tuple(
            PowerSample(time_s, name, power_w, temperature_c=40.0)
            for time_s in (started_s, ended_s)
            for name, _, power_w in self._domains
        )
        return EnergyReading(window, started_s, ended_s, domains, samples, {"meter": "scripted"})

    def stop(self) -> None:
        """Note the call."""
        self._note("stop")

    def _reading(self, domain: Domain, duration_s: float) -> DomainReading:
        name, kind, power_w = domain
        if power_w is None:
            return DomainReading(name, kind, None, self._method, reason="it is broken")
        energy_j = power_w * duration_s
        terms = (
            ()
            if self._method == "estimated"
            else (
                UncertaintyComponent("edges", 0.01 * energy_j),
                UncertaintyComponent("gain", 0.05 * energy_j, scope="absolute"),
            )
        )
        return DomainReading(name, kind, energy_j, self._method, uncertainty=terms)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self._fail_at == call:
            raise RuntimeError(f"scripted failure at {call}")


def scripted_sampler(
    name: str = "scripted_meter",
    *,
    domains: Sequence[Domain] = (("cpu:0", "cpu", 50.0),),
    method: EnergyMethod = "counter",
    priority: int = 1000,
    fail_at: str | None = None,
    available: Availability | None = None,
    created: list[ScriptedSampler] | None = None,
) -> SamplerSpec:
    """The spec of a ``ScriptedSampler``.

    Args:
        name: its name.
        domains: see ``ScriptedSampler``.
        method: what it says of its readings.
        priority: its place when the sampler is chosen by itself.
        fail_at: the call that raises.
        available: what it says of its availability; usable if not given.
        created: is given each sampler that is made.
    """
    kinds: tuple[DomainKind, ...] = tuple(dict.fromkeys(kind for _, kind, _ in domains))

    def create(settings: SamplerSettings) -> EnergySampler:
        sampler = ScriptedSampler(settings, domains=domains, method=method, fail_at=fail_at)
        if created is not None:
            created.append(sampler)
        return sampler

    def availability() -> Availability:
        return available or Availability(True, "scripted", kinds)

    return SamplerSpec(name, "Constant power.", priority, create, availability)
