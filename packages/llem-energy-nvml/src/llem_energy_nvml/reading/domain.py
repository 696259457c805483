"""From edges, samples and counter reads to one device's reading and its uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from llem_core.contracts import DomainReading, UncertaintyComponent
from llem_core.meters import GPU_GAIN_HALF_WIDTH, MIG_REFUSED, clock_rate, edges, gain, quantisation
from llem_core.units import MILLI

from llem_energy_nvml.config import Calibration
from llem_energy_nvml.reading.account import Powers, Window, counted
from llem_energy_nvml.reading.edges import Edge
from llem_energy_nvml.reading.faults import UNKNOWN_LIMIT_W, fault
from llem_energy_nvml.reading.integral import Integral, integrate
from llem_energy_nvml.reading.track import Track
from llem_energy_nvml.sensor import Sensor

_AROUND_S = 1.0
_MOST_FAILED = 0.1


@dataclass(frozen=True, slots=True)
class Observed:
    """All that was seen of one device around one window."""

    track: Track
    window: Window
    start: Edge
    end: Edge
    calibration: Calibration | None = None


def domain_reading(seen: Observed) -> DomainReading:
    """The reading of one device: by counter if it has one, else by integrating power."""
    device, window = seen.track.device, seen.window
    if device.mig.enabled:
        return _missing(seen, MIG_REFUSED)
    error = seen.start.error or seen.end.error
    if error:
        return _missing(
            seen, f"the device was lost at an edge of the window ({error}); look at the kernel log"
        )
    unknown = seen.start.unknown or seen.end.unknown
    if unknown:
        return _missing(seen, unknown)
    samples = seen.track.samples_between(window.started_s - _AROUND_S, window.ended_s + _AROUND_S)
    limit_w = device.power_limit_w or UNKNOWN_LIMIT_W
    integral = integrate(samples, window, device.sensor, limit_w)
    if not device.has_counter:
        return _integrated(seen, integral)
    return _counted(seen, integral, [sample.power_w for sample in samples], limit_w)


def _counted(
    seen: Observed, integral: Integral | None, powers_w: list[float | None], limit_w: float
) -> DomainReading:
    device, window = seen.track.device, seen.window
    assert seen.start.last is not None
    assert seen.end.first is not None
    assert seen.end.last is not None
    reads = seen.track.reads_between(window.started_s, window.ended_s)
    every = [seen.start.last, *reads, seen.end.first, seen.end.last]
    sensor = refreshed(device.sensor, seen.start, seen.end)
    doubt = fault(every, window.started_s, device.power_limit_w, sensor.refresh_s)
    if doubt:
        return _missing(seen, doubt, integral)
    # What averages over more than a refresh shows no bounds of the power within one: it may have
    # been anything that the board can draw.
    hidden = sensor.window_s > sensor.refresh_s
    # What looks at part of the time does not see a load in step with it.
    resolved_s = sensor.window_s if sensor.time_share == 1 else sensor.update_s
    powers = Powers(math.inf, 0.0, limit_w, resolved_s, hidden).seen(powers_w)
    found = counted(window, seen.start, seen.end, reads, powers, sensor)
    return _calibrated(
        seen,
        DomainReading(
            name=device.uuid,
            kind="gpu",
            energy_j=found.energy_j,
            method="counter",
            label=device.label,
            resolution_j=MILLI,
            uncertainty=(
                edges(found.edges_j),
                quantisation(MILLI),
                # A delay moves what lies beside the edges, whatever the window's length.
                UncertaintyComponent("clock", found.clock_j, common_to_devices=True),
            ),
            cross_check_j=integral.energy_j if integral else None,
            cross_check_method="integrated" if integral else None,
        ),
    )


def refreshed(sensor: Sensor, start: Edge, end: Edge) -> Sensor:
    """The sensor with the longest refresh that was seen at the edges, where one was seen."""
    seen = [p for p in (start.period_s, end.first_period_s) if p is not None]
    return replace(sensor, refresh_s=max(seen)) if seen else sensor


def _integrated(seen: Observed, integral: Integral | None) -> DomainReading:
    device, window = seen.track.device, seen.window
    failed = len(seen.track.errors_between(window.started_s, window.ended_s))
    if not failed and not seen.track.samples_between(window.started_s, window.ended_s):
        return _missing(
            seen, "it has no energy counter, and its power is not read, as the run does not use it"
        )
    if integral is None:
        return _missing(
            seen,
            "it has no energy counter, and the window holds fewer than two power samples"
            + (f" ({failed} failed)" if failed else "; lengthen it"),
        )
    if integral.longest_gap_s > max(1.0, _MOST_FAILED * window.duration_s):
        return _missing(
            seen,
            f"it has no energy counter, and there is no power sample for "
            f"{integral.longest_gap_s:.1f} s of the window ({failed} failed)",
        )
    return _calibrated(
        seen,
        DomainReading(
            name=device.uuid,
            kind="gpu",
            energy_j=integral.energy_j,
            method="integrated",
            label=device.label,
            uncertainty=(
                UncertaintyComponent("sampling", integral.sampling_j, growth="root"),
                UncertaintyComponent("averaging", integral.averaging_j, common_to_devices=True),
                clock_rate(integral.energy_j),
                UncertaintyComponent("unseen", integral.unseen_j, growth="linear"),
            ),
        ),
    )


def _calibrated(seen: Observed, reading: DomainReading) -> DomainReading:
    """Take the card's known gain out, and add the uncertainty of what is not known of it."""
    known = seen.calibration or Calibration(gain_half_width=GPU_GAIN_HALF_WIDTH)
    energy_j = true_energy_j(known, reading.energy_j, seen.window)
    assert energy_j is not None
    terms = [replace(t, standard_j=t.standard_j / known.gain) for t in reading.uncertainty]
    return replace(
        reading,
        energy_j=energy_j,
        uncertainty=(*terms, gain(energy_j, known.gain_half_width)),
        cross_check_j=true_energy_j(known, reading.cross_check_j, seen.window),
    )


def true_energy_j(known: Calibration, energy_j: float | None, window: Window) -> float | None:
    """What a calibrated card's energy is without its gain and offset (J)."""
    if energy_j is None:
        return None
    return (energy_j - known.offset_w * window.duration_s) / known.gain


def _missing(seen: Observed, reason: str, integral: Integral | None = None) -> DomainReading:
    device = seen.track.device
    return DomainReading(
        name=device.uuid,
        kind="gpu",
        energy_j=None,
        method="counter" if device.has_counter else "integrated",
        reason=reason,
        label=device.label,
        cross_check_j=integral.energy_j if integral else None,
        cross_check_method="integrated" if integral else None,
    )
