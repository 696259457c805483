"""The sampler against the simulated meter, over every kind of source, in real time."""

import threading

import pytest
from llem_core.contracts import SamplerSettings

from llem_wallmeter.config import WallMeterConfig
from llem_wallmeter.lines import Line, parse
from llem_wallmeter.sampler import WallMeterSampler
from llem_wallmeter.simulate import SimulatedMeter

INTERVAL_S = 0.01


@pytest.mark.parametrize(
    ("kind", "clock"),
    [("file", "unix"), ("tcp", "unix"), ("tcp", "arrival"), ("unix", "unix"), ("unix", "arrival")],
)
def test_a_simulated_meter_of_known_power(tmp_path, kind, clock):
    addresses = {
        "file": str(tmp_path / "meter.log"),
        "tcp": "tcp://127.0.0.1:0",
        "unix": f"unix://{tmp_path}/meter.sock",
    }
    with SimulatedMeter(addresses[kind], power_w=40.0, interval_s=INTERVAL_S) as meter:
        sampler = _sampler(meter.address, clock=clock)
        if kind == "file":
            _wait_for_line(tmp_path / "meter.log")
        sampler.start()
        sampler.begin("w")
        _wait(20 * INTERVAL_S)
        reading = sampler.end("w")
        sampler.stop()

    domain = reading.domains[0]
    assert domain.reason is None
    assert domain.energy_j == pytest.approx(40.0 * reading.duration_s)
    assert not [t for t in threading.enumerate() if t.name == "llem-wallmeter"]


def test_a_socket_whose_meter_ends_gives_null():
    with SimulatedMeter("tcp://127.0.0.1:0", interval_s=INTERVAL_S) as meter:
        sampler = _sampler(meter.address, stale_after_seconds=2.0)
        sampler.start()
        sampler.begin("w")
    reading = sampler.end("w")
    sampler.stop()

    assert reading.domains[0].energy_j is None
    assert reading.domains[0].reason


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("12.5 40.25", Line(12.5, 40.25, 0.01)),
        ("12.5,40.250,229.8", Line(12.5, 40.25, 0.001)),
        ("12.5; 40", Line(12.5, 40.0, 1.0)),
        ("2025-01-01T00:00:00+00:00 40", Line(1735689600.0, 40.0, 1.0)),
        ("40.25", None),
        ("12.5 forty", None),
        ("12.5 inf", None),
        ("12.5 nan", None),
        ("nan 40", None),
        ("12.5 -40", None),
    ],
)
def test_lines(text, line):
    assert parse(text, timed=True) == line


def test_a_line_without_a_time():
    assert parse("12.5 40", timed=False) == Line(None, 40.0, 1.0)
    assert parse("40", timed=False) == Line(None, 40.0, 1.0)


def _sampler(address, **fields):
    return WallMeterSampler(SamplerSettings(0.1, WallMeterConfig(source=address, **fields)))


def _wait_for_line(path):
    """The file appears with the meter's first line."""
    for _ in range(1000):
        if path.exists() and "\n" in path.read_text():
            return
        _wait(INTERVAL_S)


def _wait(seconds):
    threading.Event().wait(seconds)
