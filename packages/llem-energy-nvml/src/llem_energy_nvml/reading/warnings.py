"""What may be wrong with a reading, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llem_core.contracts import DomainReading
from llem_core.meters import VisibleGpus

from llem_energy_nvml.reading.domain import Observed

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
    for each, domain in zip(seen, domains, strict=True):
        yield from _failures(each)
        yield from _part_time(each, domain)


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
