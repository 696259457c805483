import logging
import math
import threading
from dataclasses import replace

import pytest
from llem_core.contracts import SamplerSettings
from llem_core.errors import EnergyError
from llem_core.meters import NVML_COUNTER
from llem_energy_codecarbon.components import Domain, Share
from llem_energy_codecarbon.config import CodeCarbonConfig
from llem_energy_codecarbon.opening import Opened
from llem_energy_codecarbon.sampler import CodeCarbonSampler


class Constant:
    """Draws 20 W by CodeCarbon's account."""

    domains = (Domain("ram", "dram", "memory", "estimated"),)

    def start(self):
        pass

    def measure(self, duration_s):
        return [Share("ram", 20.0 * duration_s)]


class Pending:
    """Tells the energies that the test hands it, and nothing in between."""

    def __init__(self, method="counter", meter=NVML_COUNTER):
        self.domains = (Domain("GPU-a", "gpu", "Some GPU", method, meter),)
        self.pending_j, self.lost = 0.0, None

    def start(self):
        pass

    def measure(self, duration_s):
        energy_j, self.pending_j = self.pending_j, 0.0
        return [Share("GPU-a", energy_j, self.lost)]


@pytest.fixture
def start():
    samplers = []

    def start_with(*components, facts=None, interval_s=60.0, close=lambda: None):
        opened = Opened(components, facts or {}, close)
        config = CodeCarbonConfig(measure_interval_s=interval_s)
        sampler = CodeCarbonSampler(SamplerSettings(0.1, config), lambda given: opened)
        samplers.append(sampler)
        sampler.start()
        return sampler

    yield start_with
    for sampler in samplers:
        sampler.stop()


def only(reading):
    (domain,) = reading.domains
    return domain


def test_an_estimate_covers_the_window_exactly_and_has_no_uncertainty(start):
    sampler = start(Constant(), facts={"cpu_mode": "cpu_load"})
    sampler.begin("outer")
    sampler.begin("inner")
    inner, outer = sampler.end("inner"), sampler.end("outer")
    for reading in (inner, outer):
        assert only(reading).energy_j == pytest.approx(20.0 * reading.duration_s, rel=1e-9)
        assert only(reading).method == "estimated"
        assert only(reading).uncertainty == ()
        assert only(reading).resolution_j is None
    assert outer.duration_s > inner.duration_s
    assert outer.sensor == {"cpu_mode": "cpu_load"}


def test_a_counter_is_told_as_measured_with_its_uncertainty(start):
    board = Pending()
    sampler = start(board)
    board.pending_j = 99.0
    sampler.begin("w")
    board.pending_j = 7.0
    reading = sampler.end("w")
    domain = only(reading)
    assert domain.energy_j == 7.0
    assert (domain.name, domain.label, domain.method) == ("GPU-a", "Some GPU", "counter")
    terms = {term.name: term for term in domain.uncertainty}
    mean_w = 7.0 / reading.duration_s
    assert terms["edges"].standard_j == pytest.approx(math.sqrt(2 / 3) * mean_w * 0.1)
    assert terms["gain"].standard_j == pytest.approx(7.0 * 0.105 / math.sqrt(3))
    assert terms["gain"].common_to_runs


def test_power_times_time_is_told_as_integrated(start):
    board = Pending(method="integrated")
    sampler = start(board)
    sampler.begin("w")
    board.pending_j = 7.0
    domain = only(sampler.end("w"))
    assert domain.method == "integrated"
    assert 0 < domain.energy_j <= 7.0
    assert {term.name for term in domain.uncertainty} == {"sampling", "clock", "gain"}


def test_a_loss_in_the_window_is_a_reason_and_the_next_window_is_sound(start):
    board = Pending()
    sampler = start(board)
    sampler.begin("w")
    board.pending_j, board.lost = 7.0, "its counter was reset"
    domain = only(sampler.end("w"))
    assert (domain.energy_j, domain.reason) == (None, "its counter was reset")
    assert domain.uncertainty == ()
    board.lost = None
    sampler.begin("next")
    board.pending_j = 2.0
    assert only(sampler.end("next")).energy_j == 2.0


def test_no_energy_is_a_reason_not_zero(start):
    sampler = start(Pending())
    sampler.begin("w")
    domain = only(sampler.end("w"))
    assert domain.energy_j is None
    assert "no energy" in domain.reason


def test_a_jump_is_a_reason(start):
    board = Pending(meter=replace(NVML_COUNTER, limit_w=700.0))
    sampler = start(board)
    sampler.begin("w")
    board.pending_j = 1e6
    domain = only(sampler.end("w"))
    assert domain.energy_j is None
    assert "jumped" in domain.reason


def test_long_windows_are_measured_in_between_and_sampled(start):
    class Signalling(Constant):
        calls = 0
        thrice = threading.Event()

        def measure(self, duration_s):
            self.calls += 1
            if self.calls == 4:
                self.thrice.set()
            return super().measure(duration_s)

    component = Signalling()
    sampler = start(component, interval_s=0.2)
    sampler.begin("w")
    component.calls = 0
    assert component.thrice.wait(60)
    reading = sampler.end("w")
    assert only(reading).energy_j == pytest.approx(20.0 * reading.duration_s, rel=1e-9)
    assert reading.samples
    assert {row.domain for row in reading.samples} == {"ram"}
    assert [row.power_w for row in reading.samples] == pytest.approx([20.0] * len(reading.samples))


def test_what_codecarbon_warns_of_goes_into_the_reading_and_nowhere_else(start, capfd):
    logger = logging.getLogger("codecarbon")
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    try:
        sampler = start(Constant())
        sampler.begin("w")
        logger.warning("GPU 0 reports\n 0 W")
        logger.warning("GPU 0 reports\n 0 W")
        logger.info("a detail")
        first = sampler.end("w")
        sampler.begin("next")
        second = sampler.end("next")
        assert first.warnings == ("CodeCarbon: GPU 0 reports 0 W",)
        assert second.warnings == ()
        assert capfd.readouterr() == ("", "")
        sampler.stop()
        logger.warning("heard again")
        assert capfd.readouterr().err == "heard again\n"
    finally:
        logger.removeHandler(handler)


def test_a_failed_start_is_an_energy_error_with_what_was_logged():
    def fail(config):
        logging.getLogger("codecarbon").error("RAPL is broken")
        raise AttributeError("no attribute _conf")

    sampler = CodeCarbonSampler(SamplerSettings(0.1), fail)
    with pytest.raises(EnergyError, match=r"no attribute _conf.*RAPL is broken"):
        sampler.start()
    assert logging.getLogger("codecarbon").filters == []
    sampler.stop()


def test_a_component_that_cannot_start_closes_what_was_opened(start):
    class Broken(Constant):
        def start(self):
            raise OSError("no permission")

    closed = []
    with pytest.raises(EnergyError, match="no permission"):
        start(Broken(), close=lambda: closed.append(True))
    assert closed == [True]


def test_windows_are_begun_once_and_ended_once(start):
    closed = []
    sampler = start(Constant(), close=lambda: closed.append(True))
    with pytest.raises(EnergyError, match="'w'"):
        sampler.end("w")
    sampler.begin("w")
    with pytest.raises(EnergyError, match="open already"):
        sampler.begin("w")
    sampler.end("w")
    sampler.stop()
    sampler.stop()
    assert closed == [True]
    with pytest.raises(EnergyError, match="not started"):
        sampler.begin("w")
