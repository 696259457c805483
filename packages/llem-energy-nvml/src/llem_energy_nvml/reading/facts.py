"""Facts of the sensors, for the record of a reading; JSON types only."""

from __future__ import annotations

from collections.abc import Sequence

from llem_core.meters import VisibleGpus

from llem_energy_nvml.reading.domain import Observed
from llem_energy_nvml.sensor import describe


def sensor_facts(driver: str, seen: Sequence[Observed], visible: VisibleGpus) -> dict[str, object]:
    """What was read, from what, and how much is known of it."""
    return {
        "driver": driver,
        "passport": bool(seen) and all(each.track.device.sensor.passport for each in seen),
        "visible": None if visible.uuids is None else list(visible.uuids),
        "devices": {each.track.device.uuid: _device_facts(each) for each in seen},
    }


def _device_facts(seen: Observed) -> dict[str, object]:
    device = seen.track.device
    sensor, known = device.sensor, seen.calibration
    return {
        "counter": "nvmlDeviceGetTotalEnergyConsumption" if device.has_counter else None,
        "counter_refresh_s": seen.end.first_period_s or seen.start.period_s or sensor.refresh_s,
        "edges_aligned": seen.start.aligned and seen.end.aligned,
        "power_field": describe(device.field, sensor),
        "power_update_s": sensor.update_s,
        "power_window_s": sensor.window_s,
        "power_lag_s": sensor.lag_s,
        "passport": sensor.passport,
        "power_limit_w": device.power_limit_w,
        "calibration": known.model_dump() if known else None,
        "failed_samples": len(
            seen.track.errors_between(seen.window.started_s, seen.window.ended_s)
        ),
    }
