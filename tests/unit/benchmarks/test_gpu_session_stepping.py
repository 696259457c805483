"""The session's steps: none can cost another, and what became of each is on the disk at once."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gpu_session.log import Log, parse_log, read_archive
from gpu_session.stepping import Step, Worker, run_steps

WORKER = Path(__file__).parents[3] / "benchmarks" / "gpu_session" / "worker.py"
STEPS = {
    "fine": "session.note('figure', 1.5)\n    print('a library talks')",
    "raises": "session.note('before', 1)\n    raise ValueError('no such field')",
    "hangs": "session.note('before', 2)\n    import time; time.sleep(600)",
    "dies": "import os; os._exit(7)",
    "reads": "session.note('seen', session.earlier('fine'))",
    "writes": "(session.raw / 'trace.bin').write_bytes(bytes(range(256)) * 40)",
    "begets": "import subprocess, sys, time\n"
    "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "    session.note('child', child.pid)\n    time.sleep(600)",
}


class Bench:
    """Runs made-up steps in real workers.

    Attributes:
        said: what was told of each step.
        starts: how many workers were started.
    """

    def __init__(self, folder: Path) -> None:
        package = folder / "made_up_steps"
        package.mkdir()
        (package / "__init__.py").touch()
        for name, body in STEPS.items():
            (package / f"{name}.py").write_text(f"def run(session):\n    {body}\n")
        self.raw = folder / "raw"
        self.log = Log(folder / "out", self.raw)
        self.log.append({"session": "test"})
        self.said: list[str] = []
        self.starts = 0

    def worker(self) -> Worker:
        self.starts += 1
        command = [sys.executable, str(WORKER), "--raw", str(self.raw), "--log"]
        command += [str(self.log.path), "--steps", "made_up_steps"]
        return Worker(command, self.raw / "worker.log")

    def run(self, *steps: Step, left_s: Callable[[], float] = lambda: 100.0) -> dict[str, str]:
        return dict(run_steps(steps, self.worker, self.log, left_s, self.said.append))

    def records(self) -> dict[str, dict[str, Any]]:
        found = parse_log(self.log.path.read_text())
        return {record["step"]: record for record in found if "step" in record}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Bench(tmp_path)


def step(name: str, planned_s: float = 60.0, least_s: float = 0.1) -> Step:
    return Step(name, planned_s, least_s)


def test_a_step_that_raises_is_a_line_and_the_next_one_has_a_fresh_worker(bench: Bench) -> None:
    assert bench.run(step("raises"), step("fine")) == {"raises": "failed", "fine": "done"}
    failed = bench.records()["raises"]
    assert failed["reason"].startswith("Traceback")
    assert "ValueError: no such field" in failed["reason"]
    assert failed["facts"] == {"before": 1}
    assert bench.records()["fine"]["facts"] == {"figure": 1.5}
    assert bench.starts == 2


def test_steps_that_go_well_share_one_worker_and_see_what_came_before(bench: Bench) -> None:
    assert bench.run(step("fine"), step("reads")) == {"fine": "done", "reads": "done"}
    assert bench.records()["reads"]["facts"] == {"seen": {"figure": 1.5}}
    assert bench.starts == 1


@pytest.mark.full
def test_a_step_that_hangs_is_cut_with_what_it_had_noted(bench: Bench) -> None:
    # The first step has started the worker, so that two seconds are the hanging one's alone.
    statuses = bench.run(step("fine"), step("hangs", planned_s=2.0), step("reads"))
    assert statuses == {"fine": "done", "hangs": "cut", "reads": "done"}
    record = bench.records()["hangs"]
    assert record["facts"] == {"before": 2}
    assert record["reason"] == "not done after 3 s"


def test_the_deadline_cuts_too(bench: Bench) -> None:
    assert bench.run(step("hangs"), left_s=lambda: 1.0) == {"hangs": "cut"}
    assert bench.records()["hangs"]["reason"] == "not done after 1 s"


def test_what_a_cut_step_started_is_ended_with_it(bench: Bench) -> None:
    statuses = bench.run(step("fine"), step("begets", planned_s=2.0))
    assert statuses == {"fine": "done", "begets": "cut"}
    child = bench.records()["begets"]["facts"]["child"]
    for _ in range(100):
        if not is_running(child):
            return
        time.sleep(0.05)
    pytest.fail("the process that the step started is still there")


def test_a_step_whose_process_dies_says_how(bench: Bench) -> None:
    assert bench.run(step("dies"), step("fine")) == {"dies": "failed", "fine": "done"}
    assert "ended with 7" in bench.records()["dies"]["reason"]


def test_a_step_that_no_longer_fits_is_skipped_and_a_shorter_one_is_not(bench: Bench) -> None:
    long, short = step("writes", least_s=30.0), step("fine", least_s=10.0)
    statuses = bench.run(long, short, left_s=lambda: 20.0)
    assert statuses == {"writes": "skipped", "fine": "done"}
    assert bench.records()["writes"]["reason"] == "it takes 30 s and 20 s were left"
    assert bench.starts == 1


def test_the_archive_has_the_log_and_the_files_after_each_step(bench: Bench) -> None:
    seen: list[list[str]] = []

    def left_s() -> float:
        records, _ = read_archive(bench.log.archive)
        seen.append([record.get("step", "heading") for record in records])
        return 100.0

    bench.run(step("fine"), step("writes"), left_s=left_s)
    assert ["heading"] in seen
    assert ["heading", "fine"] in seen
    records, left_out = read_archive(bench.log.archive)
    assert [record.get("step") for record in records] == [None, "fine", "writes"]
    assert left_out == {}


def test_files_that_are_too_large_are_left_out_and_named(tmp_path: Path) -> None:
    log = Log(tmp_path / "out", tmp_path / "raw", most_bytes=20_000)
    (tmp_path / "raw" / "large.bin").write_bytes(os.urandom(50_000))
    (tmp_path / "raw" / "small.bin").write_bytes(os.urandom(5_000))
    log.append({"step": "x"})
    assert log.archive.stat().st_size <= 20_000
    records, left_out = read_archive(log.archive)
    assert records == [{"step": "x"}]
    assert left_out == {"large.bin": 50_000}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "session.jsonl",
        "session.tar.gz",
    ]


def test_a_line_that_was_cut_short_costs_no_other() -> None:
    assert parse_log('{"step": "a"}\n{"step": "b", "fac') == [{"step": "a"}]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_records_are_json_of_one_line_each(bench: Bench) -> None:
    bench.run(step("raises"))
    lines = bench.log.path.read_text().splitlines()
    assert [json.loads(line).get("step") for line in lines] == [None, "raises"]


def test_an_end_between_two_steps_is_a_line_of_the_next_one(bench: Bench) -> None:
    def end(said: str) -> None:
        raise KeyboardInterrupt(said)

    with pytest.raises(KeyboardInterrupt):
        run_steps([step("fine"), step("reads")], bench.worker, bench.log, lambda: 100.0, end)
    records = bench.records()
    assert records["fine"]["status"] == "done"
    assert (records["reads"]["status"], records["reads"]["reason"]) == (
        "cut",
        "the session was ended",
    )
