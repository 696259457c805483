"""A sampler with scripted power."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

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
from llem_core.testing.power import PowerScript, ServedPower

Domain = tuple[str, DomainKind, float | PowerScript | ServedPower | None]
"""Name, kind and power of a domain: constant watts, a script, what a server draws, or ``None`` for
a broken one."""

_ONE: tuple[Domain, ...] = (("cpu:0", "cpu", 50.0),)


class ScriptedSampler(EnergySampler):
    """Reads scripted power: energy is its integral over the window, exactly.

    Samples of power are as far apart as the settings ask, without a thread.

    Args:
        settings: as for any sampler.
        domains: name, kind and power of each domain; power ``None`` is a broken one.
        method: what it says of its readings.
        fail_at: the call that raises.
        clock: monotonic seconds.

    Attributes:
        calls: ``start``, ``begin <window>``, ``end <window>``, ``stop``, in order.

    Example::

        clock = ManualClock()
        script = PowerScript((0.0, 60.0), (2.0, 300.0))
        sampler = ScriptedSampler(
            SamplerSettings(sample_interval_s=0.5), domains=[("gpu", "gpu", script)], clock=clock
        )
        sampler.start()
        sampler.begin("window")
        clock.sleep(4.0)
        assert sampler.end("window").domains[0].energy_j == 2 * 60.0 + 2 * 300.0
        sampler.stop()
    """

    def __init__(
        self,
        settings: SamplerSettings,
        *,
        domains: Sequence[Domain] = _ONE,
        method: EnergyMethod = "counter",
        fail_at: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(settings)
        self.calls: list[str] = []
        self._domains = [(name, kind, _script(power)) for name, kind, power in domains]
        self._method = method
        self._fail_at = fail_at
        self._clock = clock
        self._origin_s = clock()
        self._open: dict[str, float] = {}

    def start(self) -> None:
        """Note the call; scripts begin here."""
        self._note("start")
        self._origin_s = self._clock()

    def begin(self, window: str) -> None:
        """Open a window."""
        self._note(f"begin {window}")
        self._open[window] = self._clock()

    def end(self, window: str) -> EnergyReading:
        """Close a window."""
        ended_s = self._clock()
        self._note(f"end {window}")
        started_s = self._open.pop(window)
        return EnergyReading(
            window,
            started_s,
            ended_s,
            tuple(self._reading(*domain, started_s, ended_s) for domain in self._domains),
            tuple(self._samples(started_s, ended_s)),
            {"meter": "scripted"},
        )

    def stop(self) -> None:
        """Note the call, and forget open windows."""
        self._note("stop")
        self._open = {}

    def _reading(
        self,
        name: str,
        kind: DomainKind,
        script: PowerScript | ServedPower | None,
        started_s: float,
        ended_s: float,
    ) -> DomainReading:
        if script is None:
            return DomainReading(name, kind, None, self._method, reason="it is broken")
        origin_s = self._origin_of(script)
        energy_j = script.energy_j(started_s - origin_s, ended_s - origin_s)
        terms = (
            ()
            if self._method == "estimated"
            else (
                UncertaintyComponent("edges", 0.01 * energy_j, common_to_devices=True),
                UncertaintyComponent(
                    "gain",
                    0.05 * energy_j,
                    growth="linear",
                    common_to_runs=True,
                    common_to_devices=True,
                    scales_with_energy=True,
                ),
            )
        )
        return DomainReading(name, kind, energy_j, self._method, uncertainty=terms)

    def _samples(self, started_s: float, ended_s: float) -> Iterator[PowerSample]:
        step_s = self.settings.sample_interval_s
        between = range(1, max(1, math.ceil((ended_s - started_s) / step_s)))
        for time_s in (started_s, *(started_s + i * step_s for i in between), ended_s):
            for name, _, script in self._domains:
                power_w = script.power_w(time_s - self._origin_of(script)) if script else None
                yield PowerSample(time_s, name, power_w, temperature_c=40.0)

    def _origin_of(self, script: PowerScript | ServedPower) -> float:
        """The moment from which its times count (monotonic s)."""
        return 0.0 if isinstance(script, ServedPower) else self._origin_s

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self._fail_at == call:
            raise RuntimeError(f"scripted failure at {call}")


def _script(
    power: float | PowerScript | ServedPower | None,
) -> PowerScript | ServedPower | None:
    return PowerScript((0.0, power)) if isinstance(power, int | float) else power


def scripted_sampler(
    name: str = "scripted_meter",
    *,
    domains: Sequence[Domain] = _ONE,
    method: EnergyMethod = "counter",
    priority: int = 1000,
    fail_at: str | None = None,
    available: Availability | None = None,
    created: list[ScriptedSampler] | None = None,
    clock: Callable[[], float] = time.monotonic,
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
        clock: monotonic seconds.

    Example::

        plugins = Plugins()
        meter = scripted_sampler(domains=[("cpu", "cpu", 100.0)])
        plugins.register(FakePlugin(backends=[scripted_backend()], samplers=[meter]))
        with use_plugins(plugins):
            result = run_experiment(
                model="any", backend="scripted", n=1, baseline={"enabled": False}
            )
        assert result.mean_power_w is not None
        assert round(result.mean_power_w) == 100
    """
    kinds: tuple[DomainKind, ...] = tuple(dict.fromkeys(kind for _, kind, _ in domains))

    def create(settings: SamplerSettings) -> EnergySampler:
        sampler = ScriptedSampler(
            settings, domains=domains, method=method, fail_at=fail_at, clock=clock
        )
        if created is not None:
            created.append(sampler)
        return sampler

    def availability() -> Availability:
        return available or Availability(True, "scripted", kinds)

    return SamplerSpec(name, "Power as its script says.", priority, create, availability)
