"""One simulated GPU: its true power, and how its sensors distort it."""

from __future__ import annotations

from dataclasses import dataclass, field

from llem_core.units import to_milli

from llem_energy_nvml.testing.curves import Constant, Curve


@dataclass
class SimulatedGpu:
    """A GPU whose true energy is known. Times count from the start of the simulation (s).

    Attributes:
        curve: its true power.
        uuid, name: as NVML gives them.
        architecture: NVML's number; 9 is Hopper.
        gain: what the sensors make of one watt (dimensionless).
        counter_refresh_s: period of the energy counter's refresh; ``None`` is a card without one.
        power_update_s, power_window_s: update period of POWER_INSTANT, and the time that it
            averages over; ``power_window_s=None`` is a card without that field.
        legacy_window_s: time that the legacy power call averages over.
        dead_from_s: the counter stands still from here on.
        reset_at_s: the counter starts again from zero here.
        jump_at_s: the counter gains a megajoule here.
        lost_from_s: the device is lost from here on.
        mig: whether MIG is on.
        throttle: NVML's bits of lowered clocks.
        pids: processes with a compute context.
        power_limit_w: enforced limit (W).
        phase_s: shifts the refreshes of counter and power against the start.
    """

    curve: Curve = field(default_factory=lambda: Constant(100.0))
    uuid: str = "GPU-00000000-0000-0000-0000-000000000001"
    name: str = "Simulated H100"
    architecture: int = 9
    gain: float = 1.0
    counter_refresh_s: float | None = 0.1
    power_update_s: float = 0.1
    power_window_s: float | None = 0.025
    legacy_window_s: float = 1.0
    dead_from_s: float | None = None
    reset_at_s: float | None = None
    jump_at_s: float | None = None
    lost_from_s: float | None = None
    mig: bool = False
    throttle: int = 0
    pids: tuple[int, ...] = ()
    power_limit_w: float = 700.0
    phase_s: float = 0.0

    def lost(self, now_s: float) -> bool:
        """Whether the device has vanished."""
        return self.lost_from_s is not None and now_s >= self.lost_from_s

    def counter_mj(self, now_s: float) -> int | None:
        """The energy counter as the driver would give it (mJ)."""
        if self.counter_refresh_s is None:
            return None
        seen_s = now_s if self.dead_from_s is None else min(now_s, self.dead_from_s)
        tick_s = self._last(seen_s, self.counter_refresh_s)
        energy_j = self._energy(tick_s)
        if self.reset_at_s is not None and tick_s >= self.reset_at_s:
            energy_j -= self._energy(self.reset_at_s)
        elif self.reset_at_s is not None:
            energy_j += 1e6
        if self.jump_at_s is not None and tick_s >= self.jump_at_s:
            energy_j += 1e6
        return int(to_milli(energy_j))

    def instant_mw(self, now_s: float) -> int | None:
        """POWER_INSTANT (mW)."""
        if self.power_window_s is None:
            return None
        return self._mean_mw(self._last(now_s, self.power_update_s), self.power_window_s)

    def legacy_mw(self, now_s: float) -> int:
        """The legacy power call (mW)."""
        return self._mean_mw(self._last(now_s, self.power_update_s), self.legacy_window_s)

    def true_joules(self, started_s: float, ended_s: float) -> float:
        """What an ideal meter would read (J)."""
        return self.curve.energy_j(ended_s) - self.curve.energy_j(started_s)

    def _mean_mw(self, end_s: float, window_s: float) -> int:
        return int(to_milli((self._energy(end_s) - self._energy(end_s - window_s)) / window_s))

    def _energy(self, time_s: float) -> float:
        # Before the start the power was that of the start.
        before = self.curve.power_w(0.0) * min(time_s, 0.0)
        return self.gain * (before + self.curve.energy_j(max(time_s, 0.0)))

    def _last(self, time_s: float, period_s: float) -> float:
        return ((time_s - self.phase_s) // period_s) * period_s + self.phase_s
