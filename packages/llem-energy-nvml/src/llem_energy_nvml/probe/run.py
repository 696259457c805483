"""Probes all GPUs and keeps their passports: what `llem config --probe` does."""

from __future__ import annotations

from collections.abc import Callable

import pynvml
from llem_core.contracts import SensorProbe
from llem_core.errors import EnergyError

from llem_energy_nvml.clock import Clock, RealClock
from llem_energy_nvml.device import Device
from llem_energy_nvml.probe.load import torch_load
from llem_energy_nvml.probe.measure import Load, in_milliseconds, probe_device
from llem_energy_nvml.probe.passports import Passports
from llem_energy_nvml.sensor import assumed_sensor, describe

LoadFactory = Callable[[str], Load | None]


def probe_all(
    clock: Clock | None = None,
    load_for: LoadFactory = torch_load,
    passports: Passports | None = None,
) -> list[SensorProbe]:
    """Measure every GPU's sensors and keep the passports.

    Args:
        clock: time.
        load_for: gives a load for a GPU by its UUID, or ``None``.
        passports: where they are kept; the user's own folder if not given.

    Raises:
        EnergyError: NVML cannot be opened, shows no GPU, or the passports cannot be written.
    """
    used, kept = clock or RealClock(), passports or Passports()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise EnergyError(f"NVML cannot be opened: {error}") from error
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        count = pynvml.nvmlDeviceGetCount()
        return [_probe(index, driver, used, load_for, kept) for index in range(count)]
    except pynvml.NVMLError as error:
        raise EnergyError(f"a GPU does not answer: {error}") from error
    except OSError as error:
        raise EnergyError(f"the passports cannot be kept in {kept.folder}: {error}") from error
    finally:
        pynvml.nvmlShutdown()


def _probe(
    index: int, driver: str, clock: Clock, load_for: LoadFactory, passports: Passports
) -> SensorProbe:
    device = Device(index)
    passport = probe_device(device, driver, clock, load_for(device.uuid))
    path = passports.save(passport)
    found = passport.applied(assumed_sensor(device.field, device.architecture, device.name))
    shown = in_milliseconds(passport)
    reasons = dict(zip(shown, _reasons(passport.reasons), strict=True))
    return SensorProbe(
        domain=device.uuid,
        label=device.name,
        values=shown,
        reasons={name: reason for name, reason in reasons.items() if reason},
        notes=(f"driver {driver}", describe(device.field, found)),
        kept_at=str(path),
    )


def _reasons(reasons: dict[str, str]) -> list[str | None]:
    names = ("refresh_s", "update_s", "window_s", "lag_s", "counter_lag_s")
    return [reasons.get(name) for name in names]
