"""Running totals of energy, so that windows of any nesting are differences of two states."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from llem_core.contracts import PowerSample

from llem_energy_codecarbon.components import Component, Share


@dataclass(frozen=True, slots=True)
class Total:
    """All that one domain used so far.

    Attributes:
        energy_j: joules since the start.
        time_s: monotonic time of the last measurement.
        losses: intervals in which nothing was measured.
        reason: why, for the last of them.
    """

    energy_j: float
    time_s: float
    losses: int = 0
    reason: str | None = None


State = dict[str, Total]


class Ledger:
    """Measures the components one after the other and keeps their totals.

    Args:
        components: what is measured.
        clock: monotonic seconds.
    """

    def __init__(
        self, components: Sequence[Component], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._components = tuple(components)
        self._clock = clock
        self._lock = threading.Lock()
        self._totals: State = {}
        self._sampled: State = {}
        self._samples: deque[tuple[float, PowerSample]] = deque()

    def start(self) -> None:
        """Start all totals at zero, now."""
        with self._lock:
            for component in self._components:
                component.start()
                now_s = self._clock()
                self._totals.update({d.name: Total(0.0, now_s) for d in component.domains})
            self._sampled = dict(self._totals)

    def measure(self) -> State:
        """Bring all totals up to date and give them."""
        with self._lock:
            self._update()
            return dict(self._totals)

    def sample(self) -> None:
        """Bring all totals up to date and keep the mean powers since the last sample."""
        with self._lock:
            self._update()
            for name, total in self._totals.items():
                before = self._sampled[name]
                if total.losses == before.losses and total.time_s > before.time_s:
                    power_w = (total.energy_j - before.energy_j) / (total.time_s - before.time_s)
                    row = PowerSample(total.time_s, name, power_w)
                    self._samples.append((before.time_s, row))
            self._sampled = dict(self._totals)

    def samples_between(self, started_s: float, ended_s: float) -> tuple[PowerSample, ...]:
        """Give the samples whose whole interval lies in a window, oldest first."""
        with self._lock:
            return tuple(
                row
                for begun_s, row in self._samples
                if started_s <= begun_s and row.time_s <= ended_s
            )

    def drop_before(self, time_s: float) -> None:
        """Forget samples older than ``time_s``."""
        with self._lock:
            while self._samples and self._samples[0][1].time_s < time_s:
                self._samples.popleft()

    def _update(self) -> None:
        for component in self._components:
            names = [domain.name for domain in component.domains]
            now_s = self._clock()
            shares = _measure(component, now_s - self._totals[names[0]].time_s)
            for share in shares:
                self._totals[share.domain] = _add(self._totals[share.domain], share, now_s)


def _measure(component: Component, duration_s: float) -> list[Share]:
    try:
        return component.measure(duration_s)
    except Exception as error:  # noqa: BLE001 - psutil, NVML and the file system have no common base
        reason = f"CodeCarbon failed to measure it ({type(error).__name__}: {error})"
        return [Share(domain.name, 0.0, reason) for domain in component.domains]


def _add(total: Total, share: Share, now_s: float) -> Total:
    total = replace(total, energy_j=total.energy_j + share.energy_j, time_s=now_s)
    if share.lost is None:
        return total
    return replace(total, losses=total.losses + 1, reason=share.lost)
