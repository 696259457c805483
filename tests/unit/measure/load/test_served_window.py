"""A whole experiment under a load, with an engine whose times and power are scripted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from llem_core.contracts import Arrival, RequestOutput, ServedRequest, Workload
from llem_core.errors import BackendError, PreFlightError
from llem_core.measure.prompts.alike import INDEX_OFFSET
from llem_core.plugins import Plugins
from llem_core.testing import (
    ScriptedServer,
    scripted_backend,
    scripted_sampler,
    scripted_server,
)
from llenergymeasure import ExperimentResult, run_experiment

Within = Callable[..., AbstractContextManager[Plugins]]
SERVER = {"slots": 4, "first_token_time_s": 0.02, "token_time_s": 0.005}


def run(within: Within, load: dict[str, Any], **more: Any) -> ExperimentResult:
    section = more.pop("server", SERVER)
    create = more.pop("create", ScriptedServer)
    with within(backends=[scripted_server(create=create)], samplers=[scripted_sampler()]):
        return run_experiment(
            model="m",
            backend="scripted_server",
            scripted_server=section,
            **{"n": 30, "max_output_tokens": 10, "warmup": {"enabled": False}} | more,
            baseline={"enabled": False},
            load=load,
        )


def test_a_closed_load_is_measured_in_a_window_of_time(with_plugins: Within) -> None:
    load = {"mode": "closed", "concurrency": 4, "window_seconds": 2.0}
    result = run(with_plugins, load)
    served = result.load
    assert served is not None
    # A request takes 0.02 + 9 × 0.005 s, and four are served at once.
    assert result.duration_s == pytest.approx(2.0, abs=0.2)
    assert 3.6 <= served.mean_concurrency <= 4.0
    assert served.peak_concurrency == 4
    assert served.ramp_ended_by == "steady"
    assert result.energy_total_j == pytest.approx(50 * result.duration_s)
    assert result.output_tokens == pytest.approx(10 * result.n_requests, rel=0.15)
    assert result.energy_per_output_token_j == pytest.approx(
        result.energy_total_j / result.output_tokens
    )
    assert result.time_to_first_token is not None
    assert result.time_to_first_token.p50_s >= 0.02
    assert result.inter_token_latency is not None
    assert result.inter_token_latency.p50_s == pytest.approx(0.005, abs=1e-6)
    assert served.failures == {}
    assert not served.overloaded


def test_the_load_goes_on_until_the_window_s_last_request_is_over(with_plugins: Within) -> None:
    kept: list[ScriptedServer] = []

    class Noting(ScriptedServer):
        def __init__(self, workload: Workload) -> None:
            super().__init__(workload)
            self.sent: list[tuple[float, int]] = []
            self.ended_s: dict[int, float] = {}
            kept.append(self)

        def submit(self, request: ServedRequest) -> None:
            self.sent.append((time.monotonic(), request.index))
            super().submit(request)

        def arrived(self, timeout_s: float) -> Sequence[Arrival]:
            found = super().arrived(timeout_s)
            over = [each for each in found if isinstance(each, RequestOutput)]
            self.ended_s |= {each.index: each.ended_s for each in over}
            return found

    load = {"mode": "closed", "concurrency": 4, "ramp_seconds": 0.5, "window_seconds": 1.0}
    result = run(with_plugins, load, create=Noting, server=SERVER | {"first_token_time_s": 0.3})
    (server,) = kept
    assert result.load is not None
    of_load = [time_s for time_s, index in server.sent][-result.load.n_sent :]
    closed_s = of_load[0] + result.load.ramp_s + result.duration_s
    # A request takes 0.345 s: whatever was in flight at the close was followed by another one.
    assert all(time_s > closed_s for time_s in of_load[-4:])
    assert len(server.ended_s) == len(server.sent), "and all of them came to their end"


def test_an_open_load_above_the_capacity_is_recognised(with_plugins: Within) -> None:
    load = {
        "mode": "open", "request_rate": 120.0, "arrival": "constant", "ramp_seconds": 0.5,
        "window_seconds": 2.0,
    }  # fmt: skip
    result = run(with_plugins, load)
    served = result.load
    assert served is not None
    assert served.overloaded
    assert served.offered_requests_per_second == pytest.approx(120, rel=0.05)
    assert served.achieved_requests_per_second < 70
    assert served.backlog_end > served.backlog_start + 50
    assert served.n_sent < 120 * (0.5 + 2.0) + 30, "nothing more once the window has closed"
    assert any("More was offered than served" in text for text in result.measurement_warnings)
    # Latency counts from when a request was due, and so grows with the backlog.
    assert result.end_to_end_latency is not None
    assert result.end_to_end_latency.max_s > 0.5


@pytest.mark.full
def test_an_open_load_below_the_capacity_is_not_called_overloaded(with_plugins: Within) -> None:
    load = {"mode": "open", "request_rate": 25.0, "ramp_seconds": 0.3, "window_seconds": 2.0}
    served = run(with_plugins, load).load
    assert served is not None
    assert not served.overloaded


@pytest.mark.full
def test_the_most_in_flight_is_kept_and_waiting_counts_as_latency(with_plugins: Within) -> None:
    load = {
        "mode": "open", "request_rate": 60.0, "arrival": "constant", "concurrency": 1,
        "ramp_seconds": 0.2, "window_seconds": 1.0,
    }  # fmt: skip
    result = run(with_plugins, load)
    assert result.load is not None
    assert result.load.peak_concurrency == 1
    assert result.load.overloaded
    assert result.time_to_first_token is not None
    assert result.time_to_first_token.max_s > 1.0
    # It waited for a slot on purpose: that is not the client's lateness.
    assert result.load.client_lateness is not None
    assert result.load.client_lateness.p50_s < 0.1


def test_a_trace_is_replayed_whole(with_plugins: Within, tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    rows = [
        {"timestamp_s": i * 0.05, "input_tokens": 5, "output_tokens": 1 + i % 9} for i in range(40)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    result = run(with_plugins, {"mode": "trace", "trace": str(file), "time_scale": 2.0})
    assert result.n_requests == 40
    assert result.output_tokens == sum(row["output_tokens"] for row in rows)
    assert result.input_tokens == 5 * 40
    assert result.load is not None
    assert result.load.n_started == result.load.n_sent == 40
    assert result.load.ramp_ended_by == "trace"


def test_several_windows_show_their_scatter(with_plugins: Within) -> None:
    load = {"mode": "closed", "concurrency": 2, "window_seconds": 0.5, "windows": 3}
    served = run(with_plugins, load | {"ramp_seconds": 0.2}).load
    assert served is not None
    assert len(served.windows) == 3
    assert sum(window.duration_s for window in served.windows) == pytest.approx(1.5, abs=0.1)
    assert all(window.energy_j for window in served.windows)
    assert served.energy_per_output_token_cv is not None


@pytest.mark.full
def test_an_slo_divides_the_requests(with_plugins: Within) -> None:
    load = {"mode": "closed", "concurrency": 2, "ramp_seconds": 0.2, "window_seconds": 1.0}
    kept = run(with_plugins, load | {"slo": {"ttft_ms": 200.0, "tpot_ms": 50.0}}).load
    assert kept is not None
    assert kept.slo_attainment is not None
    assert kept.slo_attainment > 0.9
    missed = run(with_plugins, load | {"slo": {"ttft_ms": 10.0}}).load
    assert missed is not None
    assert missed.n_good == 0
    assert missed.slo_attainment == 0.0
    assert missed.energy_per_good_request_j is None


def test_a_request_that_takes_too_long_is_given_up(with_plugins: Within) -> None:
    load = {
        "mode": "closed", "concurrency": 1, "ramp_seconds": 0.0, "window_seconds": 1.0,
        "request_timeout_seconds": 0.1,
    }  # fmt: skip
    with pytest.raises(BackendError, match=r"\d+ of \d+ requests failed"):
        run(with_plugins, load, server=SERVER | {"token_time_s": 0.1})


def test_the_raw_data_have_every_request_and_every_second(
    with_plugins: Within, tmp_path: Path
) -> None:
    load = {"mode": "closed", "concurrency": 3, "ramp_seconds": 0.5, "window_seconds": 1.5}
    with with_plugins(backends=[scripted_server()], samplers=[scripted_sampler()]):
        result = run_experiment(
            model="m", backend="scripted_server", scripted_server=SERVER, n=30,
            max_output_tokens=10, baseline={"enabled": False}, warmup={"enabled": False},
            load=load, output_dir=tmp_path,
        )  # fmt: skip
    assert result.load is not None
    (folder,) = {path.parent for path in tmp_path.rglob("requests.parquet")}
    requests = pq.read_table(folder / "requests.parquet").to_pylist()
    assert len(requests) == result.load.n_sent
    inside = [row for row in requests if row["in_window"]]
    assert len(inside) == result.load.n_started
    assert all(row["sent_s"] >= row["started_s"] for row in requests)
    shares = sum(row["energy_attributed_j"] for row in requests)
    assert result.energy_total_j is not None
    assert shares == pytest.approx(result.energy_total_j, rel=0.1)
    assert shares <= result.energy_total_j * 1.001
    series = pq.read_table(folder / "timeseries.parquet").to_pylist()
    seconds = [row for row in series if row["device"] == "load"]
    assert len(seconds) >= 2
    assert sum(row["output_tokens"] for row in seconds) == sum(r["output_tokens"] for r in requests)
    header = (folder / "result.csv").read_text() if (folder / "result.csv").exists() else ""
    assert not header or "load_mean_concurrency" in header


def test_a_backend_of_batches_cannot_serve(with_plugins: Within) -> None:
    with (
        with_plugins(backends=[scripted_backend()], samplers=[scripted_sampler()]),
        pytest.raises(PreFlightError, match="runs batches and cannot serve a load"),
    ):
        run_experiment(model="m", backend="scripted", load={"mode": "closed", "concurrency": 2})


class Dying(ScriptedServer):
    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        if self._submitted > 30:
            raise BackendError("the engine died; its last lines: boom")
        return super().arrived(timeout_s)


def test_an_engine_that_dies_ends_the_run(with_plugins: Within) -> None:
    load = {"mode": "closed", "concurrency": 2, "ramp_seconds": 0.2, "window_seconds": 60.0}
    with pytest.raises(BackendError, match="boom"):
        run(with_plugins, load, create=Dying)


class Twice(ScriptedServer):
    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        found = super().arrived(timeout_s)
        return [*found, *found]


def test_a_request_that_is_handed_over_twice_is_a_mistake(with_plugins: Within) -> None:
    load = {"mode": "closed", "concurrency": 2, "ramp_seconds": 0.2, "window_seconds": 1.0}
    with pytest.raises(BackendError, match="not in flight"):
        run(with_plugins, load, create=Twice)


class Counting(ScriptedServer):
    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self.counted = 0

    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        found = super().arrived(timeout_s)
        self.counted += sum(getattr(arrival, "tokens", None) or 0 for arrival in found)
        return found

    def engine_counters(self) -> dict[str, float]:
        return {"output_tokens": 5000.0 + 1.1 * self.counted}


def test_the_engine_s_own_count_stands_beside_the_client_s(with_plugins: Within) -> None:
    load = {"mode": "closed", "concurrency": 2, "ramp_seconds": 0.2, "window_seconds": 0.5}
    result = run(with_plugins, load, create=Counting)
    assert result.load is not None
    check = result.load.token_check
    assert check is not None
    assert check.difference == pytest.approx(0.1, abs=0.01)
    assert any("The engine counted" in text for text in result.measurement_warnings)


def test_the_warm_up_sends_a_few_requests_however_many_prompts_there_are(
    with_plugins: Within,
) -> None:
    sent: list[int] = []

    class Counting(ScriptedServer):
        def submit(self, request: ServedRequest) -> None:
            sent.append(request.index)
            super().submit(request)

    load = {"mode": "closed", "concurrency": 2, "ramp_seconds": 0.1, "window_seconds": 0.3}
    warmup = {"n_warmup": 2, "convergence_detection": False}
    result = run(with_plugins, load, n=100, create=Counting, warmup=warmup)
    (process,) = result.processes
    assert process.warmup is not None
    assert process.warmup.n_batches == 2
    warmed = [index for index in sent if index >= INDEX_OFFSET]
    assert warmed == sent[: len(warmed)]
    assert len(warmed) == 2 * 8


def test_a_warm_up_that_is_not_answered_ends_the_run(with_plugins: Within) -> None:
    load = {"mode": "closed", "concurrency": 2, "request_timeout_seconds": 0.2}
    silent = {"slots": 8, "first_token_time_s": 3600.0}
    with pytest.raises(BackendError, match="all 8 requests of a warm-up batch failed; .*cancelled"):
        run(with_plugins, load, server=silent, warmup={"n_warmup": 2})
