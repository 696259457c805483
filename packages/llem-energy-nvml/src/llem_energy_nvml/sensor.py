"""What is known of a device's sensors: from its passport, or assumed from its kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

REFRESH_S = 0.1
"""Refresh period of an energy counter that has not been measured (20 to 100 ms are known)."""
LAG_S = 0.025
"""Half-width of the unknown delay between an energy and the counter that shows it (s)."""

PowerField = Literal["instant", "legacy_instantaneous", "legacy_average"]

_AMPERE = 7
_TURING = 6
_VOLTA = 5
_HOPPER = 9
_GA100 = frozenset({"A100", "A100X", "A30", "A30X", "A800"})
FIELD_NAMES: dict[PowerField, str] = {
    "instant": "POWER_INSTANT (field 186)",
    "legacy_instantaneous": "nvmlDeviceGetPowerUsage",
    "legacy_average": "nvmlDeviceGetPowerUsage",
}


@dataclass(frozen=True, slots=True)
class Sensor:
    """Facts of one device's power field and energy counter.

    Attributes:
        refresh_s: time between two updates of the counter (s).
        update_s: time between two updates of the power field (s).
        window_s: time that one value of the power field averages over, back from its update (s).
        lag_s: delay between the end of that time and the update (s); ``None`` if not measured.
        counter_lag_s: delay of the counter behind the energy (s); ``None`` if not measured.
        passport: whether this device was measured; otherwise it is assumed from its kind.
    """

    refresh_s: float = REFRESH_S
    update_s: float = 0.1
    window_s: float = 0.1
    lag_s: float | None = None
    counter_lag_s: float | None = None
    passport: bool = False

    @property
    def time_share(self) -> float:
        """Share of the time that the power field looks at (0 to 1)."""
        return min(1.0, self.window_s / self.update_s)


def power_field(instant: bool, architecture: int | None, name: str) -> PowerField:
    """Say what the power field in use really is (arXiv 2312.02741, table of architectures)."""
    if instant:
        return "instant"
    averaged = architecture is None or (architecture >= _AMPERE and not _is_ga100(name))
    return "legacy_average" if averaged else "legacy_instantaneous"


def _is_ga100(name: str) -> bool:
    """Whether the board has A100's chip, by the whole words of its name: an RTX A1000 has not."""
    return not _GA100.isdisjoint(re.split(r"[^A-Za-z0-9]+", name))


def assumed_sensor(field: PowerField, architecture: int | None, name: str) -> Sensor:
    """Facts of the device's kind, from the same table."""
    if field == "legacy_average":
        return Sensor(window_s=1.0)
    if architecture is not None and architecture <= _VOLTA:
        return Sensor(update_s=0.02, window_s=0.01)
    if _is_ga100(name) or (architecture is not None and architecture >= _HOPPER):
        return Sensor(window_s=0.025)
    return Sensor()


def describe(field: PowerField, sensor: Sensor) -> str:
    """The power field in a person's words; an average is never called instantaneous."""
    share = f"updated every {sensor.update_s * 1000:.3g} ms"
    length = f"{sensor.window_s * 1000:.3g} ms"
    known = "measured" if sensor.passport else "assumed"
    what = {
        "instant": f"mean over {length}",
        "legacy_instantaneous": f"instantaneous, a mean over {length}",
        "legacy_average": f"trailing average over {length}",
    }[field]
    return f"{FIELD_NAMES[field]}: {what}, {share} ({known})"
