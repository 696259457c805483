"""The whole validation over a simulated GPU: every check runs, and the report says what it is."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from gpu_validation import REHEARSED, validate
from validation.rehearsal import UUID, rehearsal_plan, simulated_machine


@pytest.mark.full
def test_every_check_is_rehearsed_and_called_a_rehearsal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = replace(rehearsal_plan(120.0), batches=(8, 32), long_window_s=2.0, window_s=0.6)
    fields = {**plan.fields, "baseline": {"enabled": False}}
    plan = replace(plan, phase_outputs=(4, 32), fields=fields)
    with simulated_machine():
        code = validate(tmp_path, plan, REHEARSED)
    report = capsys.readouterr().out
    assert report.startswith("## REHEARSAL over a SIMULATED device: nothing here was measured")
    # Whether repeats scatter by less than 3 % is the machine's load to say, not this test's.
    assert code == int("DOES NOT HOLD" in report)
    raw = json.loads((tmp_path / "validation.json").read_text())
    sections = {section["title"]: section for section in raw["sections"]}
    for title in (
        "Counter against integrated power",
        "Energy of a token against batch size",
        "Repeats",
        "Prefill and decode against output length",
    ):
        assert sections[title]["rows"], report
        assert "null" not in sections[title]["rows"][0][:5], report
    # 400 W while it works, whatever the batch: energy per token goes as its inverse.
    joules = sections["Energy of a token against batch size"]["raw"]["joules_per_output_token"]
    assert joules["8"] / joules["32"] == pytest.approx(4.0, rel=0.5)
    results = sorted((tmp_path / "experiments").glob("*/result.json"))
    assert len(results) >= 10
    assert json.loads(results[0].read_text())["model_record"]["devices"] == [
        f"Scripted GPU ({UUID})"
    ]
