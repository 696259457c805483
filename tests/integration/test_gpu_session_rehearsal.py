"""The whole session over a simulated device and the CPU, and what comes of a short deadline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from gpu_session.log import read_archive
from gpu_session.report import as_markdown
from gpu_session.scale import CARD, REHEARSAL

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = [step.name for step in REHEARSAL.steps]


def rehearse(output: Path, deadline_s: float) -> list[dict[str, Any]]:
    command = [sys.executable, str(BENCHMARKS / "gpu_session" / "run.py"), "--rehearse"]
    command += ["--output", str(output), "--deadline", str(deadline_s)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    records, left_out = read_archive(output / "session.tar.gz")
    assert not left_out
    statuses = {record["step"]: record["status"] for record in records[1:]}
    assert list(statuses) == NAMES, done.stderr
    assert done.returncode == int(set(statuses.values()) != {"done"}), done.stderr
    return records


@pytest.mark.full
def test_every_step_is_rehearsed_and_the_report_has_its_tables(tmp_path: Path) -> None:
    records = rehearse(tmp_path, 240)
    reasons = {r["step"]: r["reason"] for r in records[1:] if r["status"] != "done"}
    assert not reasons
    facts = {record["step"]: record["facts"] for record in records[1:]}
    assert facts["facts"]["driver"] == "580.00.simulated"
    assert not facts["facts"]["plugin_problems"]
    assert {row["error"] for row in facts["calls"]["calls"]} == {None}
    powers_w = {part["part"]: part["instant_w"] for part in facts["trace"]["parts"]}
    assert powers_w["random matmul"] > 2 * powers_w["idle, context"] > 0
    assert len(facts["recorder"]["events_less_host_us"]) == REHEARSAL.output_tokens
    result = facts["window"]["result"]
    assert result["energy_method"] == "counter"
    assert result["energy_total_j"] == pytest.approx(400 * result["duration_s"], rel=0.5)
    assert set(facts["batches"]) == {f"batch {batch}" for batch in REHEARSAL.batches}
    report = as_markdown(records, {})
    assert report.startswith("## REHEARSAL over a SIMULATED device: nothing here was measured")
    assert report.count("\n### ") == len(NAMES)
    assert "Its tables cannot be made" not in report
    assert "| torch_compile: false |" in report


@pytest.mark.full
def test_a_short_deadline_leaves_a_report_of_what_was_done(tmp_path: Path) -> None:
    # The third step alone watches and probes for longer than this.
    records = rehearse(tmp_path, 5)
    statuses = [record["status"] for record in records[1:]]
    assert "done" not in statuses[2:]
    assert statuses[-1] == "skipped"
    report = as_markdown(records, {})
    assert "| Compiled, with a partial last batch | skipped |" in report
    assert "were left" in report


@pytest.mark.full
def test_a_session_that_is_told_to_end_leaves_what_it_has(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "gpu_session" / "run.py"), "--rehearse"]
    session = subprocess.Popen([*command, "--output", str(tmp_path)], stdout=subprocess.PIPE)
    assert session.stdout is not None
    with session.stdout as told:
        assert told.readline().startswith(b"facts: done")
        session.terminate()
        assert session.wait(60) == 1
    records, _ = read_archive(tmp_path / "session.tar.gz")
    ended = records[-1]
    assert records[1]["status"] == "done"
    assert (ended["status"], ended["reason"]) == ("cut", "the session was ended")


def test_a_card_and_a_rehearsal_have_the_same_steps_and_a_card_ends_in_time() -> None:
    assert [step.name for step in CARD.steps] == NAMES
    assert sum(step.planned_s for step in CARD.steps) <= 420
    for scale in (CARD, REHEARSAL):
        assert all(0 < step.least_s <= step.planned_s for step in scale.steps)
