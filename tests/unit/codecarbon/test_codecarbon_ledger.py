import pytest
from llem_energy_codecarbon.components import Domain, Share
from llem_energy_codecarbon.ledger import Ledger


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


class Load:
    """Draws ``power_w``; what it raises or loses is set by the test."""

    def __init__(self, name="cpu", power_w=10.0):
        self.domains = (Domain(name, "cpu", None, "estimated"),)
        self.power_w, self.error, self.lost, self.starts = power_w, None, None, 0

    def start(self):
        self.starts += 1

    def measure(self, duration_s):
        if self.error is not None:
            raise self.error
        return [Share(self.domains[0].name, self.power_w * duration_s, self.lost)]


@pytest.fixture
def clock():
    return Clock()


def started(clock, *loads):
    ledger = Ledger(loads, clock)
    ledger.start()
    return ledger


def test_any_two_states_differ_by_the_energy_between_them(clock):
    load = Load()
    ledger = started(clock, load)
    states = [ledger.measure()]
    for duration_s, power_w in [(0.3, 10.0), (30.0, 20.0), (0.001, 5.0)]:
        load.power_w = power_w
        clock.now_s += duration_s
        states.append(ledger.measure())
    totals = [state["cpu"].energy_j for state in states]
    assert totals == pytest.approx([0.0, 3.0, 603.0, 603.005])
    assert load.starts == 1


def test_what_was_before_the_start_does_not_count(clock):
    load = Load()
    ledger = Ledger([load], clock)
    clock.now_s += 50
    ledger.start()
    clock.now_s += 1
    assert ledger.measure()["cpu"].energy_j == pytest.approx(10.0)


def test_a_component_that_raises_is_a_loss_and_leaves_the_others(clock):
    broken, healthy = Load("gpu"), Load("cpu")
    ledger = started(clock, broken, healthy)
    broken.error = OSError("lost")
    clock.now_s += 1
    during = ledger.measure()
    assert during["gpu"].losses == 1
    assert "lost" in during["gpu"].reason
    assert during["cpu"].losses == 0
    broken.error = None
    clock.now_s += 1
    after = ledger.measure()
    assert after["gpu"].losses == 1
    assert after["gpu"].energy_j == pytest.approx(10.0)


def test_samples_are_mean_powers_of_whole_intervals(clock):
    load = Load()
    ledger = started(clock, load)
    clock.now_s = 100.5
    ledger.measure()
    load.power_w = 30.0
    clock.now_s = 101.0
    ledger.sample()
    clock.now_s = 102.0
    ledger.sample()
    rows = ledger.samples_between(100.0, 102.0)
    assert [(row.time_s, row.power_w) for row in rows] == [(101.0, 20.0), (102.0, 30.0)]
    assert [row.time_s for row in ledger.samples_between(100.2, 102.0)] == [102.0]
    ledger.drop_before(101.5)
    assert [row.time_s for row in ledger.samples_between(100.0, 102.0)] == [102.0]


def test_an_interval_with_a_loss_has_no_sample(clock):
    load = Load()
    ledger = started(clock, load)
    load.lost = "no reading"
    clock.now_s += 1
    ledger.sample()
    load.lost = None
    clock.now_s += 1
    ledger.sample()
    assert [row.time_s for row in ledger.samples_between(0, 1000)] == [102.0]
