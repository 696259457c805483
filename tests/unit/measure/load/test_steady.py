from __future__ import annotations

import random

from llem_core.measure.load.steady import evidence, mann_kendall_p


def noisy(level: float, drift: float, seed: int, n: int = 30) -> list[float]:
    draw = random.Random(seed)
    return [level * (1 + drift * (i / n - 0.5) + draw.gauss(0, 0.02)) for i in range(n)]


def test_a_level_load_is_called_steady_in_nearly_every_window() -> None:
    judged = [evidence(noisy(8, 0, i), noisy(900, 0, i + 500), 1.0).steady for i in range(200)]
    assert sum(judged) >= 198


def test_a_load_that_grows_by_a_fifth_is_not_steady() -> None:
    judged = [evidence(noisy(8, 0.2, i), noisy(900, 0, i), 1.0) for i in range(100)]
    assert sum(one.steady for one in judged) <= 2
    assert judged[0].requests_in_flight.difference is not None
    assert judged[0].requests_in_flight.difference > 0.05
    assert judged[0].output_tokens_per_second.steady


def test_the_trend_test_finds_false_trends_as_often_as_it_says() -> None:
    draws = (random.Random(i) for i in range(1000))
    found = [mann_kendall_p([draw.random() for _ in range(20)]) for draw in draws]
    assert 20 <= sum(p is not None and p < 0.05 for p in found) <= 80


def test_a_constant_series_has_no_trend() -> None:
    assert mann_kendall_p([4.0] * 10) == 1.0
    assert mann_kendall_p([1.0, 2.0]) is None
