"""Passports of devices: what a probe has measured of their sensors, kept for later runs.

One JSON file a device and driver version, in the user's data folder; a new driver voids it.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from llem_core.contracts import user_data_folder, write_atomically

from llem_energy_nvml.device import Device
from llem_energy_nvml.sensor import Sensor

VERSION = 1
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Passport:
    """What was measured of one device with one driver. ``None`` is not measured.

    Attributes:
        uuid, name, driver: of the device.
        power_field: the field that was looked at.
        measured_at: date and time, UTC, ISO 8601.
        refresh_s, update_s, window_s, lag_s, counter_lag_s: as in ``Sensor``.
        reasons: why a value is ``None``, by its name.
    """

    uuid: str
    name: str
    driver: str
    power_field: str
    measured_at: str
    refresh_s: float | None
    update_s: float | None
    window_s: float | None
    lag_s: float | None
    counter_lag_s: float | None
    reasons: dict[str, str]

    def applied(self, assumed: Sensor) -> Sensor:
        """The assumed sensor with what was measured put in its place."""
        names = ("refresh_s", "update_s", "window_s", "lag_s", "counter_lag_s")
        found = {name: getattr(self, name) for name in names}
        return replace(assumed, passport=True, **{k: v for k, v in found.items() if v is not None})


class Passports:
    """The passports of a folder.

    Args:
        folder: the folder; the user's own if not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or user_data_folder("nvml")

    def path(self, uuid: str, driver: str) -> Path:
        """Where a device's passport stands."""
        return self.folder / _UNSAFE.sub("_", f"{uuid}_{driver}.json")

    def save(self, passport: Passport) -> Path:
        """Write a passport; an older one of the same device and driver is replaced.

        Raises:
            OSError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"version": VERSION, **asdict(passport)}
        path = self.path(passport.uuid, passport.driver)
        return write_atomically(path, json.dumps(content, indent=2).encode())

    def load(self, uuid: str, driver: str) -> Passport | None:
        """Read a passport; ``None`` where there is none that this version understands."""
        try:
            content = json.loads(self.path(uuid, driver).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        names = {field.name for field in fields(Passport)}
        if not isinstance(content, dict) or content.pop("version", None) != VERSION:
            return None
        return Passport(**content) if set(content) == names else None

    def sensor(self, device: Device, driver: str) -> Sensor:
        """What is known of a device's sensors."""
        passport = self.load(device.uuid, driver)
        if passport is None or passport.power_field != device.field:
            return device.sensor
        return passport.applied(device.sensor)
