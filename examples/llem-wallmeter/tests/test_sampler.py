"""The sampler over a file whose lines, and a clock whose time, the test sets."""

import pytest
from llem_core.contracts import SamplerSettings
from llem_core.errors import EnergyError

from llem_wallmeter.config import SOURCE_VARIABLE, WallMeterConfig
from llem_wallmeter.sampler import WallMeterSampler
from llem_wallmeter.source import availability


class Bench:
    """A meter's file and a clock; the file grows as the clock goes on.

    ``power_w`` may be changed at any time; None is a meter that is silent.
    """

    def __init__(self, path, interval_s=1.0):
        self.path = path
        self.now_s = 100.0
        self.power_w = 50.0
        self.interval_s = interval_s
        self.total_j = 0.0
        self.quantity = "power_w"
        self.clock_ahead_s = 0.0
        self._due_s = 100.0
        self.path.write_text("# time_s power_w\n")

    def clock(self):
        return self.now_s

    def go(self, seconds):
        end_s = self.now_s + seconds
        while self._due_s <= end_s:
            if self.power_w is not None:
                self.total_j += self.power_w * self.interval_s
                value = self.power_w if self.quantity == "power_w" else self.total_j
                self.write(f"{self._due_s + self.clock_ahead_s} {value}")
            self._due_s += self.interval_s
        self.now_s = end_s

    def write(self, line):
        with self.path.open("a") as file:
            file.write(f"{line}\n")


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "meter.log")


@pytest.fixture
def start(bench):
    """Starts a sampler over the bench, which is stopped at the end."""
    made = []

    def start(**fields):
        section = WallMeterConfig(source=str(bench.path), clock="monotonic", **fields)
        bench.quantity = section.quantity
        sampler = WallMeterSampler(SamplerSettings(0.1, section), clock=bench.clock, sleep=bench.go)
        made.append(sampler)
        bench.go(2.0)
        sampler.start()
        return sampler

    yield start
    for sampler in made:
        sampler.stop()


def window(bench, sampler, seconds=10.0):
    sampler.begin("w")
    bench.go(seconds)
    reading = sampler.end("w")
    return reading, reading.domains[0]


def test_the_last_digit_written_is_the_resolution_if_none_is_given(bench, start):
    _, written = window(bench, start())
    _, given = window(bench, start(resolution=2.0))

    assert written.resolution_j == pytest.approx(0.1)
    assert {c.name: c.standard_j for c in written.uncertainty}["quantisation"] > 0
    assert given.resolution_j == pytest.approx(2.0)


@pytest.mark.parametrize("quantity", ["power_w", "energy_j"])
def test_constant_power_is_exact(bench, start, quantity):
    reading, domain = window(bench, start(quantity=quantity), 10.3)

    assert domain.energy_j == pytest.approx(50.0 * 10.3)
    assert domain.method == ("integrated" if quantity == "power_w" else "counter")
    assert (domain.name, domain.kind) == ("wall", "other")
    assert reading.duration_s == pytest.approx(10.3)
    assert [s.power_w for s in reading.samples] == [pytest.approx(50.0)] * len(reading.samples)


def test_windows_nest_and_overlap(bench, start):
    sampler = start()
    sampler.begin("outer")
    bench.go(3.0)
    sampler.begin("inner")
    bench.go(4.0)
    inner = sampler.end("inner").domains[0].energy_j
    bench.go(2.0)
    outer = sampler.end("outer")

    assert inner == pytest.approx(50 * 4)
    assert outer.domains[0].energy_j == pytest.approx(50 * outer.duration_s)


def test_a_rise_of_power_is_within_the_stated_uncertainty(bench, start):
    sampler = start(accuracy_percent=0, clock_error_seconds=0)
    bench.go(0.4)
    bench.power_w = 90.0
    _, domain = window(bench, sampler, 20.0)
    standard_j = sum(c.standard_j**2 for c in domain.uncertainty) ** 0.5

    assert abs(domain.energy_j - 90 * 20.0) <= 2 * standard_j + 1e-6


def test_a_meter_that_stopped_gives_null_with_the_reason(bench, start):
    sampler = start()
    sampler.begin("w")
    bench.go(4.0)
    bench.power_w = None
    bench.go(2.0)
    domain = sampler.end("w").domains[0]

    assert domain.energy_j is None
    assert "no reading came within 5 s" in domain.reason


def test_a_stopped_meter_is_waited_for_only_once(bench, start):
    sampler = start()
    bench.power_w = None
    window(bench, sampler, 8.0)
    before_s = bench.now_s
    sampler.begin("w")
    domain = sampler.end("w").domains[0]

    assert domain.energy_j is None
    assert bench.now_s == before_s


def test_a_meter_that_paused_gives_null(bench, start):
    sampler = start()
    sampler.begin("w")
    bench.power_w = None
    bench.go(7.0)
    bench.power_w = 50.0
    bench.go(3.0)
    domain = sampler.end("w").domains[0]

    assert domain.energy_j is None
    assert "silent for" in domain.reason


def test_a_total_that_was_reset_gives_null(bench, start):
    sampler = start(quantity="energy_j")
    sampler.begin("w")
    bench.go(4.0)
    bench.total_j = 0.0
    bench.go(4.0)

    assert "backwards" in sampler.end("w").domains[0].reason


def test_a_window_between_two_readings_gives_null(bench, start):
    sampler = start()
    bench.go(0.2)
    _, domain = window(bench, sampler, 0.3)

    assert domain.energy_j is None
    assert "no reading of the meter in it" in domain.reason


def test_a_clock_that_is_ahead_gives_null(bench, start):
    sampler = start()
    bench.clock_ahead_s = 3.0
    _, domain = window(bench, sampler)

    assert domain.energy_j is None
    assert "ahead of this machine's" in domain.reason


def test_broken_lines_are_passed_over_and_said(bench, start):
    sampler = start()
    sampler.begin("w")
    bench.write("time;power\nnan nan\n104.5 -3")
    bench.write("99.0 50")
    bench.go(10.0)
    reading = sampler.end("w")

    assert reading.domains[0].energy_j == pytest.approx(500)
    assert any(w.startswith("3 lines") for w in reading.warnings)
    assert any("out of order" in w for w in reading.warnings)


def test_a_file_that_is_replaced_is_read_on(bench, start):
    sampler = start()
    sampler.begin("w")
    bench.go(4.0)
    sampler.begin("drains")
    sampler.end("drains")
    bench.path.rename(bench.path.with_suffix(".1"))
    bench.path.write_text("")
    bench.go(6.0)

    assert sampler.end("w").domains[0].energy_j == pytest.approx(50 * 10.0, rel=0.01)


def test_a_line_without_its_end_waits(bench, start):
    sampler = start()
    sampler.begin("w")
    with bench.path.open("a") as file:
        file.write("102.5 5")
    sampler.begin("drains")
    with bench.path.open("a") as file:
        file.write("0.0\n")
    bench.go(5.0)
    sampler.end("drains")

    assert sampler.end("w").domains[0].energy_j == pytest.approx(250)


def test_a_silent_meter_does_not_start(bench, start):
    bench.power_w = None
    with pytest.raises(EnergyError, match="no line could be read"):
        start()


def test_a_missing_file_does_not_start(tmp_path):
    section = WallMeterConfig(source=str(tmp_path / "none"))
    with pytest.raises(EnergyError, match="cannot be opened"):
        WallMeterSampler(SamplerSettings(0.1, section)).start()


def test_no_source_does_not_start(monkeypatch):
    monkeypatch.delenv(SOURCE_VARIABLE, raising=False)
    with pytest.raises(EnergyError, match=r"wallmeter\.source"):
        WallMeterSampler(SamplerSettings(0.1)).start()


def test_a_file_without_times_is_refused():
    with pytest.raises(ValueError, match="needs a socket"):
        WallMeterConfig(source="meter.log", clock="arrival")


def test_availability_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv(SOURCE_VARIABLE, raising=False)
    assert availability().usable
    monkeypatch.setenv(SOURCE_VARIABLE, str(tmp_path / "none"))
    assert not availability().usable
    (tmp_path / "none").touch()
    assert availability().usable
