"""What a user sees of a server, well-behaved or not, under a load."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from llem_core.errors import BackendError, LLEMError, PreFlightError
from llenergymeasure import ExperimentResult, load_result, run_experiment, run_study

from tests.integration.server.conftest import Start

QUICK = ("--first-token-s", "0.02", "--token-s", "0.004")
LOAD = {"mode": "closed", "concurrency": 4, "ramp_seconds": 0.3, "window_seconds": 1.2}
_MAIN = "from llem_server.testing.__main__ import main; main()"
COMMAND = [sys.executable, "-m", "llem_server.testing", "--port", "{port}", *QUICK]


def run(server: dict[str, Any], load: dict[str, Any] = LOAD, **more: Any) -> ExperimentResult:
    return run_experiment(
        backend="server",
        server=server,
        load=load,
        **{"model": "scripted", "n": 20, "max_output_tokens": 8} | more,
        baseline={"enabled": False},
        warmup={"enabled": False},
        energy={"sampler": None},
    )


def at(port: int, **more: Any) -> dict[str, Any]:
    return {"base_url": f"http://127.0.0.1:{port}"} | more


@pytest.mark.parametrize("api", ["completions", pytest.param("chat", marks=pytest.mark.full)])
def test_a_server_that_is_there_is_measured(start: Start, api: str, tmp_path: Path) -> None:
    server = at(start(*QUICK), api=api)
    result = run_experiment(
        model="scripted", backend="server", server=server, load=LOAD, n=20, max_output_tokens=8,
        baseline={"enabled": False}, warmup={"enabled": False}, energy={"sampler": None},
        output_dir=tmp_path,
    )  # fmt: skip
    served = result.load
    assert served is not None
    assert served.failures == {}
    assert served.token_check is not None
    assert served.token_check.difference == 0.0
    assert result.time_to_first_token is not None
    assert 0.02 <= result.time_to_first_token.p50_s < 0.1
    assert served.client_cpu_s is not None
    # A token's text is the moment at which the server wrote it.
    (file,) = tmp_path.rglob("requests.parquet")
    rows = [row for row in pq.read_table(file).to_pylist() if row["in_window"]]
    assert all(len(row["text"].split()) == row["output_tokens"] == 8 for row in rows)
    written = [float(word) for word in rows[0]["text"].split()]
    gaps = [b - a for a, b in itertools.pairwise(written)]
    times = rows[0]["token_times_s"]
    seen = [b - a for a, b in itertools.pairwise(times)]
    assert sum(seen) == pytest.approx(sum(gaps), abs=0.05)


def test_a_server_that_is_started_is_ended_and_its_log_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "import os; print('here I am with', os.environ['SERVER_KEY'], flush=True)"
    shown = [sys.executable, "-c", f"{told}; {_MAIN}", *COMMAND[3:]]
    monkeypatch.setenv("SERVER_KEY", "s3cr3t-value")
    result = run_experiment(
        model="scripted", backend="server", load=LOAD, n=20, max_output_tokens=8,
        server={"command": shown, "api_key_env": "SERVER_KEY"},
        dataset="synthetic", max_input_tokens=12, output_dir=tmp_path,
        baseline={"enabled": False}, warmup={"enabled": False}, energy={"sampler": None},
    )  # fmt: skip
    (log,) = tmp_path.rglob("engine.log")
    assert log.read_text().startswith("here I am with ***\n")
    assert (log.parent / "result.json").exists()
    assert result.input_tokens == 12 * round(result.input_tokens / 12)
    assert result.n_requests > 4
    left = psutil.Process().children(recursive=True)
    assert not [child for child in left if "llem_server.testing" in " ".join(child.cmdline())]


@pytest.mark.parametrize(("misbehaviour", "kind"), [
    ("http_429", "http 429"),
    *(pytest.param(*pair, marks=pytest.mark.full) for pair in (
        ("reset", "connection reset"), ("stall", "timeout"),
        ("http_503", "http 503"), ("http_500", "http 500"), ("malformed_event", "malformed event"),
        ("no_usage", "no usage"), ("redirect", "redirect"), ("silent", "timeout"),
        ("endless", "timeout"),
    )),
])  # fmt: skip
def test_a_few_failures_are_counted_by_their_kind(
    start: Start, misbehaviour: str, kind: str
) -> None:
    port = start(*QUICK, "--misbehaviour", misbehaviour, "--every", "40")
    load = LOAD | {"request_timeout_seconds": 0.5, "window_seconds": 2.0, "ramp_seconds": 0.2}
    result = run(at(port), load)
    assert result.load is not None
    assert set(result.load.failures) <= {kind}
    assert result.load.failures
    assert any(f"by {kind}" in text for text in result.measurement_warnings)


def test_connections_that_the_server_closes_are_not_used_again(start: Start) -> None:
    port = start(*QUICK, "--misbehaviour", "closes")
    result = run(at(port))
    assert result.load is not None
    assert result.load.failures == {}
    assert result.n_requests > 8


@pytest.mark.full
def test_many_failures_end_the_run_and_say_which(start: Start) -> None:
    port = start(*QUICK, "--misbehaviour", "http_503", "--every", "3")
    with pytest.raises(BackendError, match=r"requests failed.*http 503: scripted \(Retry-After: 7"):
        run(at(port))


def test_a_server_that_fails_every_request_is_not_waited_for(start: Start) -> None:
    port = start(*QUICK, "--misbehaviour", "http_500")
    with pytest.raises(BackendError, match="all of the first .* requests failed"):
        run(at(port), LOAD | {"ramp_seconds": 60.0, "concurrency": 30})


@pytest.mark.full
def test_a_slow_first_token_and_big_chunks_are_seen(start: Start) -> None:
    port = start(*QUICK, "--misbehaviour", "slow_first_token", "--tokens-per-chunk", "4")
    result = run(at(port), LOAD | {"window_seconds": 2.0})
    assert result.time_to_first_token is not None
    assert result.time_to_first_token.p50_s > 0.35
    assert result.load is not None
    assert result.load.tokens_per_chunk == pytest.approx(4.0)
    assert result.load.tokens_without_times == 0, "each chunk says how many there are so far"
    assert any("share a time" in text for text in result.measurement_warnings)


def test_a_server_that_dies_ends_the_run_with_its_last_lines() -> None:
    command = [*COMMAND, "--misbehaviour", "exit", "--every", "15"]
    with pytest.raises(BackendError, match=r"exited with code 3(.|\n)*out of memory, giving up"):
        run({"command": command})


def test_nobody_answers() -> None:
    with pytest.raises(BackendError, match="does not answer"):
        run(at(9))


def test_another_model_is_served(start: Start) -> None:
    with pytest.raises(BackendError, match="it serves: scripted"):
        run(at(start()), model="other")


def test_a_path_too_much_is_no_openai_api(start: Start) -> None:
    port = start()
    with pytest.raises(BackendError, match="does not speak the OpenAI API"):
        run({"base_url": f"http://127.0.0.1:{port}/some/where"})


def test_a_server_that_exits_while_starting_shows_its_last_lines() -> None:
    code = "print('no such model: tiny'); raise SystemExit(4)"
    with pytest.raises(BackendError, match=r"exited with code 4(.|\n)*no such model: tiny"):
        run({"command": [sys.executable, "-c", code]})


def test_a_key_that_a_server_prints_at_its_end_is_not_in_the_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERVER_KEY", "s3cr3t-value")
    code = "import os; print('I know', os.environ['SERVER_KEY']); raise SystemExit(4)"
    with pytest.raises(BackendError, match=r"I know \*\*\*") as raised:
        run({"command": [sys.executable, "-c", code], "api_key_env": "SERVER_KEY"})
    assert "s3cr3t" not in str(raised.value)


def test_a_server_that_dies_when_it_is_first_asked_shows_its_last_lines() -> None:
    """Once it was ready, and before anything of it was known."""
    dies = (
        "import os, llem_server.testing.scripted as s; plain = s._plain\n"
        "def plain_or_end(writer, status, said, more=''):\n"
        "    if said and 'data' in said: print('no more memory', flush=True); os._exit(5)\n"
        "    plain(writer, status, said, more)\n"
        f"s._plain = plain_or_end; {_MAIN}"
    )
    with pytest.raises(BackendError, match=r"exited with code 5(.|\n)*no more memory"):
        run({"command": [sys.executable, "-c", dies, *COMMAND[3:]]})


def test_a_port_that_is_taken_is_told_beforehand(start: Start) -> None:
    port = start()
    with pytest.raises(PreFlightError, match=f"port {port} is taken"):
        run({"command": COMMAND, "base_url": f"http://127.0.0.1:{port}"})


def test_exact_lengths_need_a_server_that_has_them(start: Start) -> None:
    with pytest.raises(BackendError, match="exactly 8 tokens"):
        run(at(start("--kind", "someone")), dataset="synthetic", max_input_tokens=8)


def test_a_key_is_named_by_its_variable_and_shown_nowhere(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = start(*QUICK)
    with pytest.raises(LLEMError, match="names the variable SERVER_KEY, which is not set"):
        run(at(port, api_key_env="SERVER_KEY"))
    monkeypatch.setenv("SERVER_KEY", "s3cr3t-value")
    run_experiment(
        model="scripted", backend="server", server=at(port, api_key_env="SERVER_KEY"), load=LOAD,
        n=20, max_output_tokens=4, baseline={"enabled": False}, warmup={"enabled": False},
        energy={"sampler": None}, output_dir=tmp_path,
    )  # fmt: skip
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert all(b"s3cr3t-value" not in path.read_bytes() for path in files)


def test_a_wrong_certificate_is_refused(start: Start, tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=elsewhere", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl is not installed")
    pem.write_bytes((tmp_path / "key").read_bytes() + (tmp_path / "crt").read_bytes())
    port = start("--certificate", str(pem))
    with pytest.raises(BackendError, match="its certificate is refused"):
        run({"base_url": f"https://127.0.0.1:{port}"})


@pytest.mark.full
def test_a_server_can_be_shared_within_each_cycle(tmp_path: Path) -> None:
    noted = f"open({str(tmp_path / 'starts')!r}, 'a').write('x')"
    study = {
        "model": "scripted",
        "backend": "server",
        "server": {
            "reuse": "study",
            "command": [sys.executable, "-c", f"{noted}; {_MAIN}", *COMMAND[3:]],
        },
        "load": {**LOAD, "ramp_seconds": 0.2, "window_seconds": 0.5},
        "n": 20,
        "max_output_tokens": 4,
        "baseline": {"enabled": False},
        "warmup": {"enabled": False},
        "energy": {"sampler": None},
        "sweep": {"load.concurrency": [1, 2]},
        "execution": {"n_cycles": 2, "cycle_order": "interleaved"},
    }
    result = run_study(study, output_dir=tmp_path / "out", gaps=False)
    assert result.summary.n_completed == 4
    assert (tmp_path / "starts").read_text() == "xx"
    assert "by the runs of each cycle" in result.measurement_protocol.shared[0]
    notes = [
        any("shared with 1 earlier run" in text for text in load_result(file).measurement_warnings)
        for file in sorted((tmp_path / "out").glob("*/*/result.json"))
    ]
    assert sorted(notes) == [False, False, True, True]
    left = [p for p in psutil.process_iter() if "llem_server.testing" in " ".join(_line(p))]
    assert not [p for p in left if str(tmp_path) in " ".join(_line(p))]


def _line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
