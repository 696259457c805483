"""The validation's own logic: verdicts, ratios, tables, sizes and time limits."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from gpu_validation import main, real_plan, validate
from llem_core.contracts import SensorProbe
from llem_core.plugins import use_plugins
from llem_core.testing import scripted_sampler
from llenergymeasure import ExperimentConfig
from validation import checks, published
from validation.published import published_ratio
from validation.rehearsal import WorkCurve
from validation.report import Section, Verdict, as_markdown, write_raw
from validation.running import Bench, OutOfTime, Plan


def test_published_ratios_are_those_of_the_references_figures() -> None:
    assert published_ratio(8) == 1.0
    assert published_ratio(32) == pytest.approx(0.455 / 0.165)
    assert published_ratio(64) == pytest.approx(3.82, abs=0.01)
    assert published_ratio(1) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3, 2, 1], True), ([3, 3, 1], False), ([3, 1, 2], False), ([1], True), ([], True)],
)
def test_falling_is_strict(values: list[float], expected: bool) -> None:
    assert checks.falls(values) == expected


def test_the_report_shows_every_verdict_and_the_raw_data_every_figure(tmp_path: Path) -> None:
    sections = [
        Section("One", "It is so.", Verdict.HOLDS, ("a", "b"), (("1", "x|y"),), raw={"n": 1.5}),
        Section("Two", "It may be.", Verdict.NOT_RUN, remark="no time"),
        Section("Three", "It should.", Verdict.FAILS),
    ]
    lines = as_markdown("Heading", {"GPU": "some"}, sections).splitlines()
    assert lines[0] == "## Heading"
    for line in ("| GPU | some |", "| One | holds |", "| Two | not run |", "| 1 | x\\|y |"):
        assert line in lines
    assert "| Three | DOES NOT HOLD |" in lines
    assert "### Two: not run" in lines
    write_raw(tmp_path / "raw.json", {"GPU": "some"}, sections)
    raw = json.loads((tmp_path / "raw.json").read_text())
    assert raw["sections"][0]["raw"] == {"n": 1.5}
    assert raw["sections"][2]["verdict"] == "DOES NOT HOLD"


def test_the_curve_of_a_rehearsal_integrates_exactly() -> None:
    curve = WorkCurve([1.0, 3.0, 4.0])
    assert [curve.power_w(t) for t in (0.5, 2.0, 3.5, 9.0)] == [80.0, 400.0, 80.0, 400.0]
    assert curve.energy_j(0.5) == pytest.approx(40.0)
    assert curve.energy_j(2.0) == pytest.approx(80.0 + 400.0)
    assert curve.energy_j(3.5) == pytest.approx(80.0 + 800.0 + 40.0)
    assert curve.energy_j(5.0) == pytest.approx(80.0 + 800.0 + 80.0 + 400.0)


@pytest.mark.parametrize("minutes", [5, 15, 60])
def test_a_real_plan_is_one_that_can_be_configured(minutes: int) -> None:
    from llem_core.plugins import Plugins
    from llem_core.sinks import hooks as core_sinks
    from llem_energy_nvml import hooks as nvml
    from llem_pytorch import hooks as pytorch

    known = Plugins()
    for module in (core_sinks, nvml, pytorch):
        known.register(module)
    plan = real_plan("shape:llama-3.1-8b", minutes)
    with use_plugins(known):
        config = ExperimentConfig.model_validate({"model": plan.model, **plan.fields})
    assert config.precision == "bf16"
    assert plan.limit_s == 60 * minutes
    # Ratios are to the smallest batch that is published, and a scatter takes three repeats.
    assert published.FIRST_BATCH in plan.batches
    assert plan.repeats >= 3


def test_more_minutes_are_longer_windows_and_more_repeats() -> None:
    plans = [real_plan("shape:llama-3.1-8b", minutes) for minutes in (5, 15, 60)]
    for shorter, longer in itertools.pairwise(plans):
        assert shorter.long_window_s < longer.long_window_s
        assert shorter.window_s < longer.window_s
        assert shorter.repeats < longer.repeats


def test_a_command_that_is_interrupted_leaves_the_report_so_far(
    bench: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = bench().plan
    seen: list[str] = []

    def interrupted(_: Bench) -> Section:
        seen.append((tmp_path / "report.md").read_text())
        raise KeyboardInterrupt

    interrupted.__name__ = "repeats"
    with pytest.raises(KeyboardInterrupt):
        validate(tmp_path, plan, "Heading", [checks.batches, interrupted, checks.phases])
    (report,) = seen
    assert "| Energy of a token against batch size | holds |" in report
    assert report == (tmp_path / "report.md").read_text()
    assert "| Repeats | not run |" in report
    assert "| Phases | not run |" in report
    raw = json.loads((tmp_path / "validation.json").read_text())
    assert [section["verdict"] for section in raw["sections"]] == ["holds", "not run", "not run"]
    assert capsys.readouterr().out == ""


Small = Callable[..., Bench]


@pytest.fixture
def bench(with_plugins: Any, tmp_path: Path) -> Iterator[Small]:
    """A bench over a scripted meter of 50 W and a scripted backend."""
    with with_plugins(samplers=[scripted_sampler("meter", domains=[("cpu:0", "cpu", 50.0)])]):

        def make(**settings: Any) -> Bench:
            fields: dict[str, Any] = {
                "backend": "scripted",
                "dataset": "synthetic",
                "max_input_tokens": 4,
                "warmup": {"enabled": False},
                "baseline": {"enabled": False},
                "energy": {"sampler": "meter"},
                "scripted": {"token_time_s": 0.005},
            }
            plan = Plan(
                **{
                    "model": "m",
                    "described": "scripted",
                    "fields": fields,
                    "batch_field": "scripted",
                    "batches": (1, 4),
                    "long_window_s": 0.15,
                    "window_s": 0.1,
                    "repeats": 3,
                    "repeat_batch": 4,
                    "output_tokens": 4,
                    "phase_outputs": (2, 8),
                    **settings,
                }
            )
            return Bench(plan, tmp_path / "experiments", say=lambda _: None)

        yield make


def test_windows_are_as_long_as_the_pilots_batch_says(bench: Small) -> None:
    made = bench()
    result = made.run("x", batch=2, window_s=0.08, output_tokens=8)
    batch_s, overhead_s = made.pilot(2, 8)
    assert result.n_requests == 2 * max(2, math.ceil(1.2 * 0.08 / batch_s))
    assert overhead_s > 0
    assert [name for name in made.results if name.startswith("pilot")] == ["pilot-batch-2-output-8"]
    assert result.output_tokens_per_request == [8] * result.n_requests


def test_energy_per_token_falls_with_the_batch_and_the_ratio_is_told(bench: Small) -> None:
    section = checks.batches(bench(batches=(1, 8, 32)))
    assert section.verdict is Verdict.HOLDS
    assert [row[0] for row in section.rows] == ["1", "8", "32"]
    ratios = [float(row[5]) for row in section.rows]
    assert ratios[0] < ratios[1] == 1 < ratios[2]
    assert [row[6] for row in section.rows] == ["null", "1", "2.758"]
    assert "the floor is 1.4 to 2.2" in section.remark


@pytest.mark.parametrize(
    ("values", "complete", "verdict"),
    [
        ([3.0, 2.0], True, Verdict.HOLDS),
        ([3.0, 2.0], False, Verdict.PARTLY),
        ([2.0, 3.0], False, Verdict.FAILS),
        ([], False, Verdict.NOT_RUN),
    ],
)
def test_what_was_not_finished_is_called_incomplete(
    values: list[float], complete: bool, verdict: Verdict
) -> None:
    assert checks._falling(values, complete) is verdict


def test_a_token_whose_energy_does_not_fall_is_told(bench: Small) -> None:
    assert checks.batches(bench(batches=(4, 1))).verdict is Verdict.FAILS


def test_repeats_tell_their_scatter(bench: Small) -> None:
    section = checks.repeats(bench())
    assert section.rows[0][0] == "3"
    joules = section.raw["joules_per_output_token"]
    assert len(joules) == 3
    assert section.raw["cv"] == pytest.approx(stdev(joules) / fmean(joules))
    holds = section.raw["cv"] <= checks.MOST_VARIATION
    assert section.verdict is (Verdict.HOLDS if holds else Verdict.FAILS)


def test_without_a_second_method_the_cross_check_is_not_run(bench: Small) -> None:
    section = checks.counter_against_integral(bench())
    assert section.verdict is Verdict.NOT_RUN
    assert "no second method" in section.remark


@pytest.mark.full
def test_the_share_of_prefill_falls_with_the_output(bench: Small) -> None:
    section = checks.phases(bench(phase_outputs=(2, 8)))
    assert section.verdict is Verdict.HOLDS
    shares = section.raw["prefill_share"]
    assert 0 < shares[8] < shares[2] < 1


def test_the_passport_shows_what_the_probe_found_and_why_the_rest_is_missing(
    with_plugins: Any, bench: Small
) -> None:
    made = bench()
    values = {"update_ms": 100.0, "lag_ms": None}
    found = SensorProbe("GPU-a", "Some GPU", values, {"lag_ms": "no load"}, ("driver 1",))
    spec = replace(scripted_sampler("meter"), probe=lambda: [found])
    with with_plugins(samplers=[spec]):
        section = checks.passport(made)
    assert section.verdict is Verdict.PARTLY
    assert section.rows == (
        ("Some GPU", "update_ms", "100"),
        ("Some GPU", "lag_ms", "null: no load"),
    )
    assert section.remark == "driver 1"


def test_a_sampler_without_a_probe_has_no_passport(bench: Small) -> None:
    section = checks.passport(bench())
    assert section.verdict is Verdict.NOT_RUN
    assert "no probe" in section.remark


def test_what_does_not_fit_into_the_time_is_not_run_and_says_so(bench: Small) -> None:
    small = bench(limit_s=0.0)
    with pytest.raises(OutOfTime):
        small.run("x", batch=1, window_s=1.0)
    for check in (checks.counter_against_integral, checks.batches, checks.repeats, checks.phases):
        section = check(small)
        assert section.verdict is Verdict.NOT_RUN
        assert "no time is left" in section.remark
    assert small.results == {}


def test_an_experiment_that_would_not_end_in_time_is_not_begun(bench: Small) -> None:
    small = bench(limit_s=5.0)
    with pytest.raises(OutOfTime, match="needs about"):
        small.run("x", batch=1, window_s=100.0)
    assert [name for name in small.results if not name.startswith("pilot")] == []


def test_a_check_that_breaks_does_not_cost_the_others(
    bench: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = bench(repeat_batch=0).plan
    assert validate(tmp_path, plan, "Heading") == 1
    report = (tmp_path / "report.md").read_text()
    assert capsys.readouterr().out.strip() == report.strip()
    assert "| Repeats | DOES NOT HOLD |" in report
    assert "| Energy of a token against batch size | holds |" in report
    raw = json.loads((tmp_path / "validation.json").read_text())
    assert raw["facts"]["heading"] == "Heading"


def test_without_a_gpu_one_sentence_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from llem_energy_nvml.availability import availability

    if availability().usable:
        pytest.skip("this machine has a GPU")
    assert main(["--output", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "nothing was run" in told.err
    assert not (tmp_path / "out").exists()
