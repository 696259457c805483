from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from llem_core.contracts import Batch, BatchOutput, RequestOutput, Workload
from llem_core.errors import BackendError
from llem_core.plugins import Plugins
from llem_core.testing import ScriptedBackend, scripted_backend
from llenergymeasure import ExperimentResult, run_experiment

Within = Callable[..., AbstractContextManager[Plugins]]
Change = Callable[[RequestOutput], RequestOutput]
FAST: dict[str, Any] = {
    "model": "m",
    "backend": "scripted",
    "n": 8,
    "max_output_tokens": 8,
    "warmup": {"enabled": False},
    "baseline": {"enabled": False},
    "energy": {"sampler": None},
}


class Changed(ScriptedBackend):
    """A scripted backend whose requests are changed before they are handed over."""

    change: Change

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        output = super().collect(batch, raw)
        return BatchOutput(
            tuple(self.change(request) for request in output.requests), "by the script"
        )


def changed(change: Change) -> Any:
    def create(workload: Workload) -> Changed:
        backend = Changed(workload)
        backend.change = change
        return backend

    return scripted_backend(create=create)


def run(
    with_plugins: Within, spec: Any = None, output: Path | None = None, **fields: Any
) -> ExperimentResult:
    with with_plugins(backends=[spec or scripted_backend()]):
        return run_experiment(**(FAST | fields), output_dir=output)


def lengths(tmp_path: Path, limits: Sequence[int]) -> str:
    rows = [json.dumps({"prompt": "say it", "max_new_tokens": limit}) for limit in limits]
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(rows))
    return str(path)


def test_a_request_ends_with_its_own_last_token_and_not_with_its_batch(
    with_plugins: Within, tmp_path: Path
) -> None:
    limits = range(1, 9)
    result = run(
        with_plugins,
        output=tmp_path,
        dataset=lengths(tmp_path, limits),
        scripted={"batch_size": 8, "token_time_s": 0.004},
    )
    latency = result.end_to_end_latency
    assert latency is not None
    assert [latency.min_s, latency.p50_s, latency.max_s] == pytest.approx([0.004, 0.018, 0.032])
    per_token = result.time_per_output_token
    assert per_token is not None
    assert (per_token.n, per_token.mean_s) == (7, pytest.approx(0.004))

    (path,) = tmp_path.glob("*/requests.parquet")
    rows = pq.read_table(path).to_pylist()
    spans_s = [row["ended_s"] - row["started_s"] for row in rows]
    assert spans_s == pytest.approx([0.004 * limit for limit in limits])
    assert {row["batch"] for row in rows} == {0}
    assert rows[7]["token_times_s"] == pytest.approx([0.004 * (i + 1) for i in range(8)])
    assert rows[7]["time_to_first_token_s"] == pytest.approx(0.004)
    assert rows[7]["time_per_output_token_s"] == pytest.approx(0.004)
    assert rows[0]["time_per_output_token_s"] is None
    assert [row["text"] for row in rows] == [f"output {i}" for i in range(8)]
    assert {row["error"] for row in rows} == {None}


def test_an_engine_that_knows_the_first_and_the_last_token_only(with_plugins: Within) -> None:
    def ends(request: RequestOutput) -> RequestOutput:
        times_s = request.token_times_s or ()
        return replace(request, first_token_s=times_s[0], token_times_s=None)

    result = run(with_plugins, changed(ends), scripted={"token_time_s": 0.002})
    assert result.time_to_first_token is not None
    assert result.time_to_first_token.mean_s == pytest.approx(0.002)
    assert result.time_per_output_token is not None
    assert result.time_per_output_token.mean_s == pytest.approx(0.002)
    assert result.inter_token_latency is None
    assert result.missing_reason("inter_token_latency") == "by the script"


def test_queueing_is_apart_from_the_first_token(with_plugins: Within, tmp_path: Path) -> None:
    spec = changed(lambda request: replace(request, queued_s=0.5 + request.index))
    result = run(with_plugins, spec, tmp_path, scripted={"token_time_s": 0.002})
    assert result.queue_time is not None
    assert (result.queue_time.min_s, result.queue_time.max_s) == (0.5, 7.5)
    assert result.time_to_first_token is not None
    assert result.time_to_first_token.max_s == pytest.approx(0.002)
    assert result.end_to_end_latency is not None
    assert result.end_to_end_latency.max_s == pytest.approx(0.016)
    (path,) = tmp_path.glob("*/requests.parquet")
    assert [r["queued_s"] for r in pq.read_table(path).to_pylist()] == [0.5 + i for i in range(8)]

    plain = run(with_plugins)
    assert plain.missing_reason("queue_time") == "the backend tells of no queue"


def failing(indices: Sequence[int]) -> Any:
    def fail(request: RequestOutput) -> RequestOutput:
        if request.index not in indices:
            return request
        error = "the connection was closed"
        return replace(request, output_tokens=0, token_times_s=None, token_ids=(), error=error)

    return changed(fail)


def test_a_failed_request_is_kept_with_its_error_and_is_in_no_figure(
    with_plugins: Within, tmp_path: Path
) -> None:
    result = run(with_plugins, failing([3]), tmp_path, n=20, scripted={"token_time_s": 0.001})
    assert (result.n_requests, result.n_failed_requests) == (19, 1)
    assert result.output_tokens == 19 * 8
    assert len(result.input_tokens_per_request) == 19
    (process,) = result.processes
    assert (process.n_requests, process.input_tokens) == (19, result.input_tokens)
    assert result.end_to_end_latency is not None
    assert result.end_to_end_latency.n == 19
    told = [w for w in result.measurement_warnings if "failed" in w]
    assert told == [
        "1 of 20 requests failed and are in no figure but the energy; the first, request 3: the "
        "connection was closed"
    ]
    (path,) = tmp_path.glob("*/requests.parquet")
    errors = {r["index"]: r["error"] for r in pq.read_table(path).to_pylist() if r["error"]}
    assert errors == {3: "the connection was closed"}


def test_a_run_of_which_too_much_failed_fails(with_plugins: Within) -> None:
    with pytest.raises(BackendError, match=r"2 of 20 requests failed, and 5% may; .*request 3: "):
        run(with_plugins, failing([3, 7]), n=20)


@pytest.mark.parametrize(
    "change",
    [
        lambda request: replace(request, started_s=0.0, ended_s=0.01, token_times_s=None),
        lambda request: replace(request, ended_s=request.ended_s + 60),
        lambda request: replace(request, ended_s=request.started_s - 1e-3),
    ],
    ids=["from the batch's start", "after the window", "before its start"],
)
def test_times_of_another_clock_are_refused(with_plugins: Within, change: Change) -> None:
    with pytest.raises(BackendError, match=r"request 0 ran from .* time\.monotonic\(\)"):
        run(with_plugins, changed(change))


def test_a_script_gives_each_request_its_times_its_wait_and_its_failure(
    with_plugins: Within,
) -> None:
    script = {
        "batch_size": 20,
        "token_times_s": [[0.012, 0.016, 0.024], [0.008]],
        "queued_s": 0.25,
        "failing": [5],
    }
    result = run(with_plugins, n=20, max_output_tokens=2, scripted=script)
    assert (result.n_requests, result.n_failed_requests) == (19, 1)
    assert result.output_tokens == 10 * 2 + 9 * 1
    assert result.end_to_end_latency is not None
    ends_s = (result.end_to_end_latency.min_s, result.end_to_end_latency.max_s)
    assert ends_s == pytest.approx((0.008, 0.016))
    assert result.queue_time is not None
    assert result.queue_time.mean_s == 0.25
