"""One simulated GPU: its true power, and how its sensors distort it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from llem_core.units import to_milli

from llem_energy_nvml.testing.curves import Constant, Curve, lowest_of

_SPREAD = 2**32


@dataclass
class SimulatedGpu:
    """A GPU whose true energy is known. Times count from the start of the simulation (s).

    Attributes:
        curve: its true power.
        uuid, name: as NVML gives them.
        architecture: NVML's number; 9 is Hopper.
        gain: what the sensors make of one watt (dimensionless).
        offset_w: what they tell at no power (W).
        noise_w: half-width of what each update of the power field adds at random (W).
        counter_refresh_s: period of the energy counter's refresh; ``None`` is a card without one.
        counter_lag_s: delay of the counter behind the energy.
        counter_start_j: the counter at the start of the simulation (J).
        power_update_s, power_window_s: update period of POWER_INSTANT, and the time that it
            averages over; ``power_window_s=None`` is a card without that field.
        has_legacy_power: whether it answers the legacy power call.
        power_lag_s: delay of both power fields, beyond averaging.
        legacy_window_s: time that the legacy power call averages over.
        jitter: each refresh comes early or late by up to this share of its period.
        call_s: shortest and longest time that one call takes.
        dead_from_s: the counter stands still from here on.
        frozen_s: it stands still from the one time to the other, and the energy is lost.
        reset_at_s: the counter starts again from zero here.
        jump_at_s, jump_j: the counter gains so many joules here.
        lost_from_s, lost_until_s: the device is lost in this time; for good if it has no end.
        mig: whether MIG is on.
        mig_uuids: UUIDs of its instances.
        denied: whether this process may not open it, as in a container without the device.
        module: power of the module that the GPU shares with a processor; its counter is of that.
        legacy_throttle: whether the driver has only the older name of the throttle call, or, with
            ``None``, neither.
        throttle: NVML's bits of lowered clocks.
        pids: processes with a compute context.
        power_limit_w: enforced limit (W).
        temperature_c: of the chip.
        idle_w: power up to which no kernel runs, and utilisation is 0; by default the lowest of
            the curve.
        phase_s: shifts the refreshes of counter and power against the start.
        seed: of jitter and noise.
        calls: reads of its counter and power so far.
    """

    curve: Curve = field(default_factory=lambda: Constant(100.0))
    uuid: str = "GPU-00000000-0000-0000-0000-000000000001"
    name: str = "Simulated H100"
    architecture: int = 9
    gain: float = 1.0
    offset_w: float = 0.0
    noise_w: float = 0.0
    counter_refresh_s: float | None = 0.1
    counter_lag_s: float = 0.0
    counter_start_j: float = 1e6
    power_update_s: float = 0.1
    power_window_s: float | None = 0.025
    has_legacy_power: bool = True
    power_lag_s: float = 0.0
    legacy_window_s: float = 1.0
    jitter: float = 0.0
    call_s: tuple[float, float] = (0.0, 0.0)
    dead_from_s: float | None = None
    frozen_s: tuple[float, float] | None = None
    reset_at_s: float | None = None
    jump_at_s: float | None = None
    jump_j: float = 1e6
    lost_from_s: float | None = None
    lost_until_s: float | None = None
    mig: bool = False
    mig_uuids: tuple[str, ...] = ()
    denied: bool = False
    module: Curve | None = None
    legacy_throttle: bool | None = False
    throttle: int = 0
    pids: tuple[int, ...] = ()
    power_limit_w: float = 700.0
    temperature_c: int = 45
    idle_w: float | None = None
    phase_s: float = 0.0
    seed: int = 0
    calls: int = 0

    def lost(self, now_s: float) -> bool:
        """Whether the device has vanished."""
        if self.lost_from_s is None:
            return False
        return self.lost_from_s <= now_s < (self.lost_until_s or math.inf)

    def counter_mj(self, now_s: float) -> int | None:
        """The energy counter as the driver would give it (mJ)."""
        if self.counter_refresh_s is None:
            return None
        if self.module is not None:
            return replace(self, curve=self.module, module=None).counter_mj(now_s)
        seen_s = now_s if self.dead_from_s is None else min(now_s, self.dead_from_s)
        tick_s = self._last(seen_s, self.counter_refresh_s)[0] - self.counter_lag_s
        energy_j = self.counter_start_j + self._energy(tick_s) - self._frozen_j(tick_s)
        if self.reset_at_s is not None and tick_s >= self.reset_at_s:
            energy_j = self._energy(tick_s) - self._energy(self.reset_at_s)
        if self.jump_at_s is not None and tick_s >= self.jump_at_s:
            energy_j += self.jump_j
        return int(to_milli(energy_j))

    def instant_mw(self, now_s: float) -> int | None:
        """POWER_INSTANT (mW)."""
        if self.power_window_s is None:
            return None
        return self._mean_mw(now_s, self.power_window_s)

    def module_mw(self, now_s: float) -> int | None:
        """POWER_INSTANT of the module (mW)."""
        if self.module is None or self.power_window_s is None:
            return None
        return replace(self, curve=self.module, module=None)._mean_mw(now_s, self.power_window_s)

    def legacy_mw(self, now_s: float) -> int | None:
        """The legacy power call (mW)."""
        if not self.has_legacy_power:
            return None
        return self._mean_mw(now_s, self.legacy_window_s)

    def busy(self, now_s: float) -> bool:
        """Whether a kernel runs."""
        idle_w = lowest_of(self.curve) if self.idle_w is None else self.idle_w
        return self.curve.power_w(now_s) > idle_w

    def true_joules(self, started_s: float, ended_s: float) -> float:
        """What an ideal meter would read (J)."""
        curve = self.module or self.curve
        return curve.energy_j(ended_s) - curve.energy_j(started_s)

    def told_joules(self, started_s: float, ended_s: float) -> float:
        """What a sensor with this card's gain and offset, and no other fault, would read (J)."""
        return self._energy(ended_s) - self._energy(started_s)

    def call_time_s(self, now_s: float) -> float:
        """How long a call takes that begins now (s)."""
        shortest_s, longest_s = self.call_s
        if longest_s <= 0:
            return 0.0
        return shortest_s + (longest_s - shortest_s) * self._random(int(now_s * 1e6))

    def _mean_mw(self, now_s: float, window_s: float) -> int:
        update_s, number = self._last(now_s, self.power_update_s)
        end_s = update_s - self.power_lag_s
        mean_w = (self._energy(end_s) - self._energy(end_s - window_s)) / window_s
        noise_w = self.noise_w * (2 * self._random(number) - 1)
        return max(round(to_milli(mean_w + noise_w)), 0)

    def _frozen_j(self, time_s: float) -> float:
        if self.frozen_s is None or time_s < self.frozen_s[0]:
            return 0.0
        return self._energy(min(time_s, self.frozen_s[1])) - self._energy(self.frozen_s[0])

    def _energy(self, time_s: float) -> float:
        # Before the start the power was that of the start.
        before = self.curve.power_w(0.0) * min(time_s, 0.0)
        told_j = self.gain * (before + self.curve.energy_j(max(time_s, 0.0)))
        return told_j + self.offset_w * time_s

    def _last(self, time_s: float, period_s: float) -> tuple[float, int]:
        """The last refresh before a moment, and its number."""
        number = math.floor((time_s - self.phase_s) / period_s)
        if not self.jitter:
            return self.phase_s + number * period_s, number
        for candidate in (number + 1, number):
            refresh_s = self._refresh(candidate, period_s)
            if refresh_s <= time_s:
                return refresh_s, candidate
        return self._refresh(number - 1, period_s), number - 1

    def _refresh(self, number: int, period_s: float) -> float:
        late = self.jitter * (2 * self._random(number) - 1)
        return self.phase_s + (number + late) * period_s

    def _random(self, number: int) -> float:
        """From 0 to 1, the same for the same number and seed."""
        mixed = (number * 0x9E3779B1 + self.seed * 0x85EBCA77 + 0x165667B1) % _SPREAD
        mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) % _SPREAD
        mixed = ((mixed ^ (mixed >> 12)) * 0x297A2D39) % _SPREAD
        return (mixed ^ (mixed >> 15)) / _SPREAD
