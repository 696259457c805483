"""Measures a device's sensors: how often they are updated, what they average over, how late.

Idle, the times at which the values change tell the update periods. With a load that can be turned
on at a known moment, the first values after it tell the averaging window and the delay: a value
that ends ``t`` after the step shows the share ``(t - lag) / window`` of it. The counter's slope
before and after the step meet where the counter thinks that it was.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llem_core.units import MILLI

from llem_energy_nvml.clock import Clock
from llem_energy_nvml.device import Device
from llem_energy_nvml.probe.fit import fit_response, meeting_point_s
from llem_energy_nvml.probe.passports import Passport

IDLE_S = 3.0
STEP_S = 2.5
SHORT_STEP_S = 0.35
SHORT_STEPS = 12
_POLL_S = 0.001
_FEWEST_CHANGES = 5
_NO_LOAD = (
    "it takes a load that can be turned on at a known moment: install llem-pytorch with a CUDA "
    "build of torch and run the probe again"
)


class Load(Protocol):
    """Work for one device that can be turned on and off."""

    def on(self) -> float:
        """Begin; gives the moment at which the device began (monotonic s)."""

    def off(self) -> None:
        """End, and wait until the device is idle."""


@dataclass(slots=True)
class Changes:
    """Values of one sensor and when each appeared (monotonic s)."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, time_s: float, value: float) -> None:
        """Keep a value that differs from the last."""
        if not self.values or value != self.values[-1]:
            self.times.append(time_s)
            self.values.append(value)

    def period_s(self) -> float | None:
        """Time between two updates; ``None`` with too few of them.

        An update that leaves the value as it was is not seen, so some gaps are multiples: the
        period is the median of those that are close to the shorter ones.
        """
        # The first value was not seen to appear.
        gaps = [b - a for a, b in zip(self.times[1:], self.times[2:], strict=False)]
        if len(gaps) < _FEWEST_CHANGES:
            return None
        short_s = statistics.quantiles(gaps, n=4)[0]
        return statistics.median(gap for gap in gaps if gap <= 1.5 * short_s)


def probe_device(
    device: Device,
    driver: str,
    clock: Clock,
    load: Load | None = None,
    today: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> Passport:
    """Measure one device; takes 3 s, and about 20 s with a load.

    Raises:
        pynvml.NVMLError: the device does not answer.
    """
    power, counter = watch(device, clock, IDLE_S)
    values: dict[str, float | None] = {
        "refresh_s": counter.period_s() if device.has_counter else None,
        "update_s": power.period_s(),
    }
    reasons: dict[str, str] = {}
    if values["refresh_s"] is None:
        reasons["refresh_s"] = (
            "the counter did not move" if device.has_counter else "it has no energy counter"
        )
    stepped = _step_response(device, clock, load) if load else {}
    if values["update_s"] is None:
        values["update_s"] = stepped.pop("update_s", None)
        if values["update_s"] is None:
            reasons["update_s"] = (
                "the power did not change while the device was idle"
                if power.values
                else "it has no power field"
            )
    for name in ("window_s", "lag_s", "counter_lag_s"):
        values[name] = stepped.get(name)
        if values[name] is None and not power.values and name != "counter_lag_s":
            reasons[name] = "it has no power field"
        elif values[name] is None:
            reasons[name] = "the step of the load was not clear" if load else _NO_LOAD
    return Passport(
        uuid=device.uuid,
        name=device.name,
        driver=driver,
        power_field=device.field,
        measured_at=today().isoformat(timespec="seconds"),
        reasons=reasons,
        **values,
    )


def watch(device: Device, clock: Clock, duration_s: float) -> tuple[Changes, Changes]:
    """Read power and counter as fast as a millisecond for some time."""
    power, counter = Changes(), Changes()
    until_s = clock.now() + duration_s
    while clock.now() < until_s:
        power_w = device.power_w()
        if power_w is not None:
            power.add(clock.now() - _POLL_S / 2, power_w)
        energy_j = device.energy_j() if device.has_counter else None
        if energy_j is not None:
            counter.add(clock.now() - _POLL_S / 2, energy_j)
        clock.sleep(_POLL_S)
    return power, counter


def _step_response(device: Device, clock: Clock, load: Load) -> dict[str, float]:
    """What steps of the load tell; without what they do not."""
    first = _one_step(device, clock, load, STEP_S)
    found: dict[str, float] = {}
    if not first.power.values:
        return found
    low_w, high_w = first.low_w, first.power.values[-1]
    if high_w - low_w < max(0.1 * low_w, 5.0):
        return found
    steps = [first]
    # A slow answer has many values within it; a fast one is met by chance, so it takes many steps.
    fast = first.settled_s(low_w, high_w) < SHORT_STEP_S
    for number in range(SHORT_STEPS if fast else 0):
        # Waits of different lengths, so that steps fall everywhere between two updates.
        clock.sleep(SHORT_STEP_S * (1 + number / SHORT_STEPS))
        steps.append(_one_step(device, clock, load, SHORT_STEP_S))
    points = [
        (time_s - step.at_s, (value - low_w) / (high_w - low_w))
        for step in steps
        for time_s, value in zip(step.power.times[1:], step.power.values[1:], strict=True)
    ]
    response = fit_response(points)
    if response is not None:
        found["window_s"], found["lag_s"] = response
    period_s = first.power.period_s()
    if period_s is not None:
        found["update_s"] = period_s
    lag_s = _counter_lag_s(first)
    if lag_s is not None:
        found["counter_lag_s"] = lag_s
    return found


@dataclass(frozen=True, slots=True)
class _Step:
    at_s: float
    low_w: float
    power: Changes
    before: Changes
    counter: Changes

    def settled_s(self, low_w: float, high_w: float) -> float:
        """Time from the step to the last value that is not yet close to the high one (s)."""
        nearly_w = high_w - 0.05 * (high_w - low_w)
        pairs = zip(self.power.times, self.power.values, strict=True)
        return max((t - self.at_s for t, value in pairs if value < nearly_w), default=0.0)


def _one_step(device: Device, clock: Clock, load: Load, length_s: float) -> _Step:
    idle, before = watch(device, clock, 0.5 if length_s == STEP_S else 2 * _POLL_S)
    at_s = load.on()
    try:
        power, counter = watch(device, clock, length_s)
    finally:
        load.off()
    return _Step(at_s, idle.values[-1] if idle.values else 0.0, power, before, counter)


def _counter_lag_s(step: _Step) -> float | None:
    before = _points(step.before)
    # The slope after the step, once everything has settled.
    after = [p for p in _points(step.counter) if p[0] > step.at_s + 0.5]
    met_s = meeting_point_s(before, after)
    return None if met_s is None else max(met_s - step.at_s, 0.0)


def _points(changes: Changes) -> Sequence[tuple[float, float]]:
    return list(zip(changes.times[1:], changes.values[1:], strict=True))


def in_milliseconds(passport: Passport) -> dict[str, float | None]:
    """The passport's figures for a person (ms)."""
    names = {
        "refresh_s": "counter_refresh_ms",
        "update_s": "power_update_ms",
        "window_s": "power_window_ms",
        "lag_s": "power_lag_ms",
        "counter_lag_s": "counter_lag_ms",
    }
    found = {shown: getattr(passport, name) for name, shown in names.items()}
    return {k: None if v is None else round(v / MILLI, 1) for k, v in found.items()}
