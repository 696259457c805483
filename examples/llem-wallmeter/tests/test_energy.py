"""Energy of windows of known power, and its uncertainty."""

import math

import pytest

from llem_wallmeter.config import WallMeterConfig
from llem_wallmeter.energy import Reading, energy_of, pieces_of, resolution_of, uncertainty_of


def energy(values, start, end, **fields):
    """Readings a second apart, the first at 0 s."""
    config = WallMeterConfig(**fields)
    pieces = pieces_of([Reading(float(i), v) for i, v in enumerate(values)], config)
    terms = {c.name: c.standard_j for c in uncertainty_of(pieces, start, end, config)}
    return energy_of(pieces, start, end), terms


def test_mean_power_counts_for_the_time_before_its_line():
    joules, _ = energy([0.0, 10.0, 20.0, 30.0], 0.5, 2.25)

    assert joules == pytest.approx(0.5 * 10 + 20 + 0.25 * 30)


def test_instant_power_is_taken_to_change_evenly():
    joules, _ = energy([10.0, 20.0, 30.0], 0.0, 2.0, power_is="instant")

    assert joules == pytest.approx(40.0)


def test_a_running_total_is_differenced_between_readings():
    joules, _ = energy([100.0, 110.0, 130.0, 160.0], 0.5, 2.5, quantity="energy_j")

    assert joules == pytest.approx(5 + 20 + 15)


def test_a_window_between_two_ticks_of_a_total_is_their_difference():
    joules, terms = energy([100.0, 110.0, 130.0, 160.0], 1.0, 3.0, quantity="energy_j")

    assert joules == pytest.approx(50.0)
    assert terms["sampling"] == 0


def test_the_edge_term_covers_a_step_at_the_window():
    """True power is 10 W before 0.4 s and 50 W from there; the meter gives means."""
    first_mean = 0.4 * 10 + 0.6 * 50
    joules, terms = energy([0.0, first_mean, 50.0, 50.0], 0.4, 3.0, accuracy_percent=0)

    error = abs(joules - 50 * 2.6)
    assert error > 1
    assert error <= terms["edges"] * math.sqrt(3) + 1e-9


def test_steady_power_has_no_edge_sampling_or_alignment_term():
    _, terms = energy([50.0] * 5, 0.3, 3.7, power_is="instant")

    assert (terms["edges"], terms["sampling"], terms["alignment"]) == (0, 0, 0)


def test_the_meters_class_is_a_limit_of_error():
    joules, terms = energy([50.0] * 5, 0.5, 3.5, accuracy_percent=1.0, accuracy_offset_w=0.2)

    assert joules == pytest.approx(150)
    assert terms["gain"] == pytest.approx(1.5 / math.sqrt(3))
    assert terms["offset"] == pytest.approx(0.2 * 3 / math.sqrt(3))


def test_resolution_and_quantisation():
    config = WallMeterConfig(resolution=0.1, quantity="energy_wh")
    pieces = pieces_of([Reading(float(i), 36.0 * i) for i in range(4)], config)
    terms = {c.name: c.standard_j for c in uncertainty_of(pieces, 0.5, 2.5, config)}

    assert resolution_of(pieces, config) == pytest.approx(360.0)
    assert terms["quantisation"] == pytest.approx(360 / math.sqrt(6))
    assert resolution_of(pieces, WallMeterConfig()) is None
