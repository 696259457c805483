"""The energy side of one experiment: a sampler's windows, and what becomes of its failures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from llem_core.contracts.sampler import EnergyReading, EnergySampler, UsedDevices
from llem_core.measure.energy.plausible import reject_impossible, with_visibility
from llem_core.measure.energy.select import SelectedSampler
from llem_core.meters import part_of

SESSION = "session"
T = TypeVar("T")
Progress = Callable[[float, float, str], None]
_TICK_S = 1.0


class Meter:
    """Opens and closes windows of the chosen sampler.

    A sampler that fails in mid-run costs the readings, not the run: the window then has no
    reading, and ``failures`` says why.
    """

    def __init__(self, choice: SelectedSampler) -> None:
        self.name = choice.name
        self.reason = choice.reason
        self.failures: list[str] = list(choice.warnings)
        self._sampler: EnergySampler | None = choice.sampler

    @property
    def active(self) -> bool:
        """Whether there is a sampler that still works."""
        return self._sampler is not None

    def begin(self, window: str) -> None:
        """Open a window, if anything measures."""
        if self._sampler is not None:
            self._guard(window, self._sampler.begin)

    def end(self, window: str) -> EnergyReading | None:
        """Close a window; ``None`` where nothing measures."""
        sampler = self._sampler
        if sampler is None:
            return None
        return self._guard(window, lambda name: self._sound(sampler.end(name)))

    def use_devices(self, used: UsedDevices) -> None:
        """Tell the sampler which devices the model computes on."""
        sampler = self._sampler
        if sampler is not None:
            self._guard("", lambda _: sampler.use_devices(used))

    def between(
        self, started_s: float, ended_s: float, within: EnergyReading | None = None
    ) -> EnergyReading | None:
        """Energy of an interval that is over; ``None`` where nothing measures.

        Waits until the sampler knows it. Of a sampler that measures windows alone it is the part of
        one, from the window's power samples.

        Args:
            started_s, ended_s: the interval (monotonic s).
            within: a reading whose window holds it.
        """
        sampler = self._sampler
        if sampler is None or not sampler.answers_intervals:
            return None if within is None else part_of(within, started_s, ended_s)
        sampler.wait(max(0.0, ended_s + sampler.delay_s - sampler.now_s()))
        return self._guard(
            "interval", lambda _: self._sound(sampler.energy_between(started_s, ended_s))
        )

    def idle(
        self,
        window: str,
        duration_s: float,
        parts: int,
        progress: Progress,
        is_settled: Callable[[Sequence[EnergyReading]], bool] = lambda _: True,
        longest_wait_s: float = 0.0,
    ) -> list[EnergyReading]:
        """Readings of an idle time that is divided into equal parts, one a part.

        Args:
            window: their name.
            duration_s: length of all of them (s).
            parts: how many.
            progress: is told how far it has come.
            is_settled: says of the last parts whether the devices are idle; until then further
                parts are taken.
            longest_wait_s: the most that further parts may take (s).
        """
        readings: list[EnergyReading] = []
        part_s = duration_s / parts
        most = parts + int(longest_wait_s / part_s)
        if self._is_late(part_s):
            return self._idle_afterwards(
                part_s, parts, most, lambda done_s: progress(done_s, duration_s, "s"), is_settled
            )
        for part in range(most):
            name = f"{window}-{part}"
            self.begin(name)
            _wait(part_s, min(part, parts - 1) * part_s, duration_s, progress)
            reading = self.end(name)
            if reading is None:
                break
            readings.append(reading)
            if len(readings) >= parts and is_settled(readings[-parts:]):
                break
        return readings[-parts:]

    def _is_late(self, part_s: float) -> bool:
        """Whether waiting for each part's energy would take longer than the part itself."""
        sampler = self._sampler
        late_s = 0.0 if sampler is None or not sampler.answers_intervals else sampler.delay_s
        return late_s > max(part_s, _TICK_S)

    def _idle_afterwards(
        self,
        part_s: float,
        parts: int,
        most: int,
        told: Callable[[float], None],
        is_settled: Callable[[Sequence[EnergyReading]], bool],
    ) -> list[EnergyReading]:
        """An idle time whose parts are asked for when all of it is over."""
        assert self._sampler is not None
        readings: list[EnergyReading] = []
        while len(readings) < parts or (len(readings) < most and not is_settled(readings[-parts:])):
            new = parts if not readings else 1
            started_s, sampler = self._sampler.now_s(), self._sampler
            _pass(sampler, new * part_s, told)
            for part in range(new):
                at_s = started_s + part * part_s
                reading = self.between(at_s, at_s + part_s)
                if reading is None:
                    return readings
                readings.append(reading)
        return readings[-parts:]

    def stop(self) -> None:
        """Close the sampler; harmless when there is none."""
        sampler, self._sampler = self._sampler, None
        if sampler is not None:
            try:
                sampler.stop()
            except Exception as error:  # noqa: BLE001 - foreign code; the readings are safe by now
                self.failures.append(f"The sampler {self.name} did not stop: {error}")

    @staticmethod
    def _sound(reading: EnergyReading) -> EnergyReading:
        return with_visibility(reject_impossible(reading), os.environ)

    def _guard(self, window: str, call: Callable[[str], T]) -> T | None:
        try:
            return call(window)
        except Exception as error:  # noqa: BLE001 - a sampler's failure must not cost the run
            self.reason = f"the sampler {self.name} failed: {type(error).__name__}: {error}"
            self.failures.append(self.reason[:1].upper() + self.reason[1:])
            self.stop()
            return None


def _pass(sampler: EnergySampler, wait_s: float, told: Callable[[float], None]) -> None:
    """Let time pass by the sampler's own clock."""
    begun_s = sampler.now_s()
    while (left_s := begun_s + wait_s - sampler.now_s()) > 0:
        told(wait_s - left_s)
        sampler.wait(min(_TICK_S, left_s))


def _wait(wait_s: float, before_s: float, total_s: float, progress: Progress) -> None:
    deadline_s = time.monotonic() + wait_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        progress(before_s + wait_s - left_s, total_s, "s")
        time.sleep(min(_TICK_S, left_s))
