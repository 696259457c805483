"""What the steps read off their raw data, and how an archive becomes a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gpu_session.log import Log
from gpu_session.report import BEGIN, END, as_markdown, main, put_into
from gpu_session.scale import CARD
from gpu_session.sections import PARTS
from gpu_session.steps import tests as pytest_step
from gpu_session.steps.calls import CALLS
from gpu_session.steps.trace import Row, rise_ms, summary, update_ms

ROOT = Path(__file__).parents[3]


def test_the_table_of_calls_has_every_call_that_the_sampler_makes() -> None:
    folder = ROOT / "packages" / "llem-energy-nvml" / "src" / "llem_energy_nvml"
    text = "\n".join(file.read_text() for file in folder.glob("*.py"))
    used = set(re.findall(r"pynvml\.(nvml\w+)", text)) - {"nvmlInit", "nvmlShutdown"}
    assert used
    assert used <= set(CALLS)


def test_each_step_of_a_card_has_its_part_of_the_report() -> None:
    assert [step.name for step in CARD.steps] == list(PARTS)


def trace(length_s: float = 2.0) -> list[Row]:
    """A read each millisecond: the power steps from 100 to 500 W at half of the time, and every
    sensor is refreshed each 50 ms."""
    rows: list[Row] = []
    counter_mj = 0
    for at_ms in range(round(1000 * length_s)):
        high = at_ms >= 500 * length_s
        power_mw = (500_000 if high else 100_000) + at_ms // 50
        if at_ms % 50 == 0:
            counter_mj += 50 * power_mw // 1000
        rows.append((at_ms / 1000, counter_mj, power_mw, power_mw, power_mw))
    return rows


def test_update_periods_are_read_off_a_trace() -> None:
    assert update_ms(trace(), 1) == pytest.approx(50)
    assert update_ms(trace(), 2) == pytest.approx(50)
    assert update_ms([(t / 1000, 5, 5, 5, 5) for t in range(100)], 1) is None


def test_a_part_of_a_trace_has_mean_powers_and_the_counters_slope() -> None:
    found = summary(trace())
    assert found["instant_w"] == pytest.approx(300, rel=0.01)
    assert found["counter_w"] == pytest.approx(300, rel=0.05)
    assert found["median_gap_ms"] == pytest.approx(1)


def test_a_sensor_that_is_not_there_is_null_and_not_zero() -> None:
    rows: list[Row] = [(t / 1000, None, None, None, 70_000) for t in range(10)]
    found = summary(rows)
    assert found["counter_w"] is None
    assert found["instant_w"] is None
    assert found["legacy_w"] == 70
    assert rise_ms(rows, 0.0)["instant"] is None


def test_the_rise_ends_at_nine_tenths() -> None:
    assert rise_ms(trace(), on_s=0.9)["instant"] == pytest.approx(100)


def test_outcomes_are_those_of_the_junit_report(tmp_path: Path) -> None:
    (tmp_path / "tests.xml").write_text(
        '<testsuites><testsuite><testcase name="a" time="1.5"/><testcase name="b" time="0">'
        '<failure message="assert 1 == 2">…</failure></testcase><testcase name="c" time="0">'
        '<skipped message="no CUDA"/></testcase></testsuite></testsuites>'
    )
    found = pytest_step.outcomes(tmp_path / "tests.xml")
    assert [(row["test"], row["outcome"], row["message"]) for row in found] == [
        ("a", "passed", ""),
        ("b", "failure", "assert 1 == 2"),
        ("c", "skipped", "no CUDA"),
    ]


HEADING = {"session": "card", "date": "2026-11-27T10:00:00+00:00", "python": "3.12.3"}
FAILED = {
    "step": "calls",
    "status": "failed",
    "reason": "Traceback …\nValueError: no such field",
    "took_s": 1.0,
    "facts": {},
}


def test_the_report_says_what_was_not_run_and_why() -> None:
    report = as_markdown([HEADING, FAILED], {"trace.parquet": 20_000_000})
    assert report.startswith("## Session of 2026-11-27\n")
    assert "| NVML calls | failed | 1.0 | ValueError: no such field |" in report
    assert "| Repeats | not run |  | the session ended before it |" in report
    assert "trace.parquet" in report


def test_what_a_cut_step_left_costs_no_other_table() -> None:
    cut = {**FAILED, "step": "recorder", "status": "cut", "facts": {"took_s": {"bare": [1.0]}}}
    report = as_markdown([HEADING, cut], {})
    assert "### Cost of recorder and sampler (cut)" in report
    assert "Its tables cannot be made" in report
    assert "it noted took_s" in report


def test_a_report_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    log = Log(tmp_path / "out", tmp_path / "raw")
    log.append(HEADING)
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{BEGIN}\n\nthe last one\n\n{END}\n\n## After\n")
    assert main([str(log.archive), "--write", str(page)]) == 0
    written = page.read_text()
    assert "the last one" not in written
    assert "## Session of 2026-11-27" in written
    assert written.startswith("# Title\n")
    assert written.endswith(f"{END}\n\n## After\n")
    with pytest.raises(ValueError, match="has no"):
        put_into("# Title\n", "report")


def test_a_rehearsal_is_not_put_into_the_page_by_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(tmp_path / "out", tmp_path / "raw")
    log.append({**HEADING, "session": "rehearsal"})
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    assert main([str(log.archive), "--write", str(page)]) == 2
    assert "of a rehearsal" in capsys.readouterr().err
    assert page.read_text() == f"{BEGIN}\n{END}\n"
    assert main([str(log.archive), "--write", str(page), "--rehearsal"]) == 0
    assert "REHEARSAL over a SIMULATED device" in page.read_text()


def test_the_page_has_the_marks_and_no_rehearsal_between_them() -> None:
    page = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    between = page.partition(BEGIN)[2].partition(END)[0]
    assert between.strip()
    assert "REHEARSAL" not in between
