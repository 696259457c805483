"""Several samplers as one: each domain has one reading of record, another may stand beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from llem_core.contracts.sampler import (
    DomainReading,
    EnergyReading,
    EnergySampler,
    SamplerSettings,
    UncertaintyComponent,
    UsedDevices,
)


class CombinedSampler(EnergySampler):
    """Windows of several samplers that are started already.

    A GPU is read by the first sampler that names it, every other kind of domain by the first one
    that has it. The first sampler's window is the window; what the others read over theirs, which
    lie a little within, is brought to its length.

    Args:
        settings: as for any sampler.
        parts: name and sampler, the preferred first.
        check: name and sampler of the cross-check, whose figures never replace one.
        estimating: names of parts that may estimate. Where they do not answer for intervals, the
            others do without them.
    """

    def __init__(
        self,
        settings: SamplerSettings,
        parts: Sequence[tuple[str, EnergySampler]],
        check: tuple[str, EnergySampler] | None = None,
        estimating: Collection[str] = (),
    ) -> None:
        super().__init__(settings)
        self._check = check
        self._named = [*parts, *([check] if check else [])]
        self._every = [sampler for _, sampler in self._named]
        self._answering = [
            (name, sampler)
            for name, sampler in self._named
            if name not in estimating or sampler.answers_intervals
        ]

    @property
    def answers_intervals(self) -> bool:
        """Whether all do that measure."""
        return all(sampler.answers_intervals for _, sampler in self._answering)

    @property
    def delay_s(self) -> float:
        """The longest of theirs (s)."""
        return max(sampler.delay_s for _, sampler in self._answering)

    def start(self) -> None:
        """They are started already."""

    def begin(self, window: str) -> None:
        """Open the window of the first sampler, and within it the others'."""
        for sampler in self._every:
            sampler.begin(window)

    def end(self, window: str) -> EnergyReading:
        """Close the windows, the first sampler's last."""
        closed = [sampler.end(window) for sampler in reversed(self._every)]
        names = [name for name, _ in self._named]
        return self._merged(list(zip(names, closed[::-1], strict=True)))

    def energy_between(self, started_s: float, ended_s: float) -> EnergyReading:
        """The interval's energy by all that answer for intervals."""
        return self._merged([(n, s.energy_between(started_s, ended_s)) for n, s in self._answering])

    def use_devices(self, used: UsedDevices) -> None:
        """Tell them."""
        for sampler in self._every:
            sampler.use_devices(used)

    def stop(self) -> None:
        """Close all of them; the first failure is raised when all were tried."""
        failures = [failure for s in self._every if (failure := _failure(s.stop)) is not None]
        if failures:
            raise failures[0]

    def _merged(self, named: Sequence[tuple[str, EnergyReading]]) -> EnergyReading:
        readings = [reading for _, reading in named]
        first = readings[0]
        domains: list[DomainReading] = []
        samples = []
        for reading in readings if self._check is None else readings[:-1]:
            kinds, names = {d.kind for d in domains}, {d.name for d in domains}
            new = [d for d in reading.domains if _is_new(d, kinds, names)]
            domains += [to_length(d, reading.duration_s, first.duration_s) for d in new]
            own = {d.name for d in new}
            samples += [
                s
                for s in reading.samples
                if s.domain in own and first.started_s <= s.time_s <= first.ended_s
            ]
        if self._check is not None:
            domains = [_checked(domain, domains, readings[-1], first) for domain in domains]
        return replace(
            first,
            domains=tuple(domains),
            samples=tuple(sorted(samples, key=lambda sample: sample.time_s)),
            sensor={name: dict(reading.sensor) for name, reading in named},
            warnings=tuple(dict.fromkeys(w for reading in readings for w in reading.warnings)),
        )


def _is_new(domain: DomainReading, kinds: Collection[str], names: Collection[str]) -> bool:
    if domain.kind not in kinds:
        return True
    return domain.kind == "gpu" and domain.name not in names


def to_length(domain: DomainReading, duration_s: float, wanted_s: float) -> DomainReading:
    """A domain's energy over another window's length, at the same mean power.

    Up to the energy of the difference is not known: a half-width of it is added.
    """
    if domain.energy_j is None or duration_s == wanted_s:
        return domain
    share = wanted_s / duration_s
    terms = [replace(term, standard_j=term.standard_j * share) for term in domain.uncertainty]
    if terms:
        apart_j = domain.energy_j * abs(share - 1)
        terms.append(UncertaintyComponent("window", apart_j / math.sqrt(3), common_to_devices=True))
    check_j = domain.cross_check_j
    return replace(
        domain,
        energy_j=domain.energy_j * share,
        uncertainty=tuple(terms),
        cross_check_j=None if check_j is None else check_j * share,
    )


def _checked(
    domain: DomainReading,
    domains: Sequence[DomainReading],
    reading: EnergyReading,
    first: EnergyReading,
) -> DomainReading:
    """The domain with the other sampler's energy of it as its cross-check."""
    named = [d for d in reading.domains if d.name == domain.name]
    alike = [d for d in reading.domains if d.kind == domain.kind]
    alone = len(alike) == sum(d.kind == domain.kind for d in domains) == 1
    found = named or (alike if alone else [])
    if not found or found[0].energy_j is None:
        return domain
    other = to_length(found[0], reading.duration_s, first.duration_s)
    return replace(domain, cross_check_j=other.energy_j, cross_check_method=other.method)


def _failure(call: Callable[[], None]) -> Exception | None:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - one that cannot be stopped must not keep the others
        return error
    return None
