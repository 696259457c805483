"""What may be wrong with a reading, as sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from llem_core.contracts import DomainReading
from llem_core.meters import VisibleGpus
from llem_core.units import format_duration

from llem_energy_nvml.domain import UNSEEN, Observed

AIM = 0.01
"""Share of the energy that the comparison uncertainty (k = 2) should not exceed."""
_COVERAGE_FACTOR = 2.0
_MANY_FAILED = 0.05


def reading_warnings(
    seen: Sequence[Observed], domains: Sequence[DomainReading], visible: VisibleGpus
) -> tuple[str, ...]:
    """Warnings of one reading."""
    return tuple(_warnings(seen, domains, visible))


def _warnings(
    seen: Sequence[Observed], domains: Sequence[DomainReading], visible: VisibleGpus
) -> Iterator[str]:
    if visible.note:
        yield f"{visible.note}."
    busiest = max(
        (pair for pair in zip(seen, domains, strict=True) if pair[1].energy_j is not None),
        key=lambda pair: pair[1].energy_j or 0.0,
        default=None,
    )
    if busiest is not None:
        yield from _short(*busiest)
    for each, domain in zip(seen, domains, strict=True):
        yield from _failures(each)
        yield from _part_time(each, domain)


def _short(seen: Observed, domain: DomainReading) -> Iterator[str]:
    energy_j = domain.energy_j or 0.0
    terms = [
        t.standard_j for t in domain.uncertainty if t.scope == "comparison" and t.name != UNSEEN
    ]
    share = _COVERAGE_FACTOR * math.hypot(*terms) / energy_j if energy_j > 0 else math.inf
    if share <= AIM:
        return
    duration_s = seen.window.duration_s
    told = "more than its energy" if share > 1 else f"± {share:.1%} of its energy"
    # The edges' share falls with the length; what lies between samples with its root.
    power = 1.0 if domain.method == "counter" else 2.0
    needed = (
        f"it should last {format_duration(duration_s * (share / AIM) ** power)} or more"
        if share <= 1
        else "it should be far longer"
    )
    yield (
        f"The window of {format_duration(duration_s)} is short for the sensor of "
        f"{domain.label or domain.name}: edges and sampling leave {told} open; for {AIM:.0%} "
        f"{needed}."
    )


def _part_time(seen: Observed, domain: DomainReading) -> Iterator[str]:
    share = seen.track.device.sensor.time_share
    if domain.method == "integrated" and domain.energy_j is not None and share < 1:
        yield (
            f"The power sensor of {domain.label or domain.name} looks at {share:.0%} of the time "
            "and it has no energy counter: a load in step with the sensor may draw anything in the "
            "rest, and most of the uncertainty is for that."
        )


def _failures(seen: Observed) -> Iterator[str]:
    window, track = seen.window, seen.track
    failed = track.errors_between(window.started_s, window.ended_s)
    taken = len(track.samples_between(window.started_s, window.ended_s))
    if failed and len(failed) > _MANY_FAILED * (taken + len(failed)):
        yield (
            f"{len(failed)} of {taken + len(failed)} samples of {track.device.name} failed "
            f"({failed[-1][1]}): peak power and the cross-check lack them."
        )
