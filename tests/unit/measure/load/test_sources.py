from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from llem_core.config.load import LoadConfig, TraceRequest
from llem_core.measure.load.source import ClosedSource, TraceSource, gaps, source_of


def drawn(arrival: str, burstiness: float = 1.0, seed: int = 1, n: int = 4000) -> list[float]:
    load = LoadConfig(mode="open", request_rate=4.0, arrival=arrival, burstiness=burstiness)
    draw = gaps(load, seed)
    return [draw() for _ in range(n)]


@pytest.mark.parametrize(("arrival", "burstiness", "cv"), [
    ("constant", 1.0, 0.0), ("poisson", 1.0, 1.0), ("gamma", 4.0, 0.5), ("gamma", 0.25, 2.0),
])  # fmt: skip
def test_gaps_have_the_mean_and_the_scatter_of_their_distribution(
    arrival: str, burstiness: float, cv: float
) -> None:
    found = drawn(arrival, burstiness)
    mean = statistics.fmean(found)
    assert mean == pytest.approx(0.25, rel=0.1)
    assert statistics.pstdev(found) / mean == pytest.approx(cv, abs=0.15)


def test_the_seed_makes_the_arrivals() -> None:
    assert drawn("poisson", seed=1, n=5) == drawn("poisson", seed=1, n=5)
    assert drawn("poisson", seed=1, n=5) != drawn("poisson", seed=2, n=5)


def test_a_closed_load_is_due_as_soon_as_a_slot_is_free() -> None:
    source = ClosedSource(2, n_prompts=3)
    source.start(10.0)
    assert [source.take(), source.take()] == [(10.0, 0), (10.0, 1)]
    assert source.next_s() is None
    source.over(1, 11.5, failed=False)
    assert source.take() == (11.5, 2)
    source.over(2, 12.0, failed=False)
    assert source.take() == (12.0, 0)


def test_a_slot_pauses_after_a_failure() -> None:
    source = ClosedSource(1, n_prompts=1)
    source.start(0.0)
    source.take()
    source.over(0, 1.0, failed=True)
    assert source.next_s() == 1.5


def line(time_s: float, session: str | None = None) -> TraceRequest:
    return TraceRequest(time_s, 4, 4, None, session)


def test_a_trace_keeps_its_times_and_may_be_faster() -> None:
    source = TraceSource([line(5.0), line(6.0), line(9.0)], time_scale=2.0)
    source.start(100.0)
    assert [source.take() for _ in range(3)] == [(100.0, 0), (100.5, 1), (102.0, 2)]
    assert source.exhausted


def test_requests_of_a_session_wait_for_each_other() -> None:
    source = TraceSource([line(0, "a"), line(1, "a"), line(2, "b"), line(3, "a")], 1.0)
    source.start(0.0)
    assert source.take() == (0.0, 0)
    assert source.take() == (2.0, 2)
    assert source.next_s() is None
    assert not source.exhausted
    source.over(0, 4.0, failed=False)
    assert source.take() == (4.0, 1)
    source.over(1, 5.0, failed=False)
    assert source.take() == (5.0, 3)
    assert source.exhausted


def test_a_trace_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_text('{"timestamp_s": 1, "prompt": "one"}\n{"timestamp_s": 2, "prompt": "two"}\n')
    source = source_of(LoadConfig(mode="trace", trace=str(file)), 2, 1)
    source.start(0.0)
    assert [source.take(), source.take()] == [(0.0, 0), (1.0, 1)]
