from __future__ import annotations

from llem_core.contracts import PowerSample
from llem_core.measure.result.timeseries import thermal_record


def sample(time_s: float, domain: str, temperature_c: float | None, *reasons: str) -> PowerSample:
    return PowerSample(time_s, domain, 100.0, temperature_c=temperature_c, throttle_reasons=reasons)


def test_start_and_end_are_those_of_the_hottest_device() -> None:
    """Devices are read in turn, the coolest first: the first sample is not the hottest's."""
    samples = [
        sample(1.00, "GPU-a", 40.0),
        sample(1.01, "GPU-b", 61.0),
        sample(1.02, "GPU-c", 90.0),
        sample(2.00, "GPU-a", 75.0),
        sample(2.01, "GPU-b", 80.0),
        sample(3.00, "GPU-a", 71.0),
        sample(3.01, "GPU-b", 66.0),
    ]
    record = thermal_record(list(reversed(samples)), {"GPU-a", "GPU-b"})
    assert record is not None
    assert record.temperature_start_c == 61.0
    assert record.temperature_end_c == 71.0
    assert record.temperature_max_c == 80.0
    assert record.n_samples == 6


def test_what_is_not_read_is_null_and_without_anything_there_is_no_record() -> None:
    throttled = thermal_record([sample(1.0, "GPU-a", None, "sw_power_cap")], {"GPU-a"})
    assert throttled is not None
    assert throttled.temperature_start_c is None
    assert throttled.throttle_reasons == {"sw_power_cap": 1.0}
    assert thermal_record([sample(1.0, "GPU-a", None)], {"GPU-a"}) is None
    assert thermal_record([sample(1.0, "GPU-b", 50.0)], {"GPU-a"}) is None
