"""What ``compare`` says of differences, and what it refuses to compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llem_core.errors import ConfigError
from llem_core.results.experiment import ExperimentResult
from llem_report.compare import (
    Comparison,
    Question,
    as_json,
    as_markdown,
    compare,
    read_side,
    save_baseline,
)
from llem_report.compare.statistics import holm

Make = Callable[..., Path]
STEADY = [1.00, 1.01, 0.99, 1.005, 0.995]
SCATTERED = [1.00, 1.10, 0.92, 1.06, 0.95]


def times(factor: float, values: list[float] = STEADY) -> list[float]:
    """Values whose ratios scatter a little about the factor."""
    jitter = [1.002, 0.998, 1.001, 0.999, 1.0]
    return [value * factor * j for value, j in zip(values, jitter, strict=True)]


def asked(before: Path, after: Path, **question: Any) -> Comparison:
    return compare(read_side(before), read_side(after), Question(**question))


def test_a_loss_beyond_the_limit_fails(study: Make) -> None:
    before, after = study("a", {"x": STEADY}), study("b", {"x": times(1.10)})
    found = asked(before, after, max_regression_percent=3)
    (row,) = found.rows
    assert (row.verdict, row.beyond_limit, found.failed) == ("worse", True, True)
    assert row.metric == "energy_per_output_token_j"
    assert row.method == "paired"
    assert row.difference_percent == pytest.approx(10, abs=0.2)
    assert row.interval_low_percent is not None
    assert row.interval_low_percent < 10 < (row.interval_high_percent or 0)
    assert not asked(before, after).failed  # no limit was asked for
    assert not asked(before, after, max_regression_percent=12).failed


def test_a_loss_within_the_limit_is_equivalent(study: Make) -> None:
    found = asked(
        study("a", {"x": STEADY}), study("b", {"x": times(1.01)}), max_regression_percent=3
    )
    assert [row.verdict for row in found.rows] == ["equivalent"]
    assert not found.failed


def test_a_gain_is_better_whichever_way_is_better(study: Make) -> None:
    before, after = study("a", {"x": STEADY}), study("b", {"x": times(0.9)})
    found = asked(before, after, metrics=("energy_per_output_token_j", "output_tokens_per_second"))
    assert [row.verdict for row in found.rows] == ["better", "better"]
    back = asked(after, before, metrics=("output_tokens_per_second",), max_regression_percent=3)
    assert back.failed


def test_scatter_hides_a_small_loss(study: Make) -> None:
    before = study("a", {"x": SCATTERED}, design="one")
    after = study("b", {"x": times(1.04, SCATTERED[::-1])}, design="another")
    found = asked(before, after, max_regression_percent=3)
    (row,) = found.rows
    assert row.method == "Welch"
    assert row.verdict == "cannot be told apart"
    assert not found.failed


def test_cycles_that_share_a_disturbance_are_paired(study: Make) -> None:
    before, after = study("a", {"x": SCATTERED}), study("b", {"x": times(1.08, SCATTERED)})
    assert asked(before, after, max_regression_percent=3).failed


def test_nodes_are_blocks(study: Make) -> None:
    nodes = ["n1", "n2", "n3", "n1", "n2"]
    before = study("a", {"x": SCATTERED}, nodes=nodes, design="one")
    order = [2, 0, 1, 4, 3]  # the same nodes, in another order
    after_values = times(1.08, SCATTERED)
    after = study(
        "b",
        {"x": [after_values[i] for i in order]},
        nodes=[nodes[i] for i in order],
        design="another",
    )
    (row,) = asked(before, after, max_regression_percent=3).rows
    assert row.method == "paired by node"
    assert row.beyond_limit


def test_configurations_are_paired_by_hash_and_the_rest_is_named(study: Make) -> None:
    before = study("a", {"x": STEADY, "gone": STEADY})
    after = study("b", {"new": STEADY, "x": times(1.0)}, design="e")
    found = asked(before, after)
    assert [row.config_hash_after for row in found.rows] == ["x"]
    assert len(found.only_before) == len(found.only_after) == 1


def test_many_rows_are_corrected_together(study: Make) -> None:
    alone = study("a", {"x": STEADY}), study("b", {"x": times(1.003)})
    (row,) = asked(*alone, max_regression_percent=0).rows
    assert row.beyond_limit
    names = [f"c{i}" for i in range(40)]
    many_before = study("c", {"x": STEADY, **dict.fromkeys(names, STEADY)})
    many_after = study("d", {"x": times(1.003), **{n: times(1.0) for n in names}})
    rows = asked(many_before, many_after, max_regression_percent=0).rows
    assert row.p_regression is not None
    assert 0.05 / 41 < row.p_regression < 0.05
    assert not any(one.beyond_limit for one in rows)


def test_holm_stops_at_the_first_that_stands() -> None:
    assert holm([0.01, 0.04, None, 0.03], 0.05) == [True, False, False, False]
    assert holm([0.01, 0.02, 0.03], 0.06) == [True, True, True]
    assert holm([], 0.05) == []


def test_single_experiments_have_the_interval_of_the_meter(experiment: Make) -> None:
    found = asked(experiment("a", 1.0), experiment("b", 1.02), max_regression_percent=3)
    (row,) = found.rows
    assert (row.method, row.verdict) == ("meter", "cannot be told apart")
    # Two standard uncertainties of 1 %, k = 1.96.
    half = 1.96 * 2**0.5
    assert row.interval_high_percent == pytest.approx(2 + half, abs=0.2)
    assert any("meter's own uncertainty" in remark for remark in found.remarks)
    assert asked(experiment("c", 1.0), experiment("d", 1.2), max_regression_percent=3).failed


def test_speeds_of_single_experiments_have_no_interval(experiment: Make) -> None:
    found = asked(
        experiment("a", speed=100.0),
        experiment("b", speed=50.0),
        metrics=("output_tokens_per_second",),
        max_regression_percent=3,
    )
    (row,) = found.rows
    assert row.difference_percent == pytest.approx(-50)
    assert (row.interval_low_percent, row.verdict) == (None, "cannot be told apart")
    assert "run cycles" in (row.reason or "")


def test_one_run_is_held_against_the_scatter_of_several(study: Make) -> None:
    before = study("a", {"x": STEADY}, design="one")
    (row,) = asked(before, study("b", {"x": [1.2]}, design="two"), max_regression_percent=3).rows
    assert (row.method, row.beyond_limit) == ("one against several", True)
    (row,) = asked(before, study("c", {"x": [1.005]}, design="two"), max_regression_percent=3).rows
    assert not row.beyond_limit


def test_a_figure_without_scatter_is_compared_as_it_is(study: Make) -> None:
    before = study("a", {"x": STEADY}, peak_memory_bytes=1000)
    after = study("b", {"x": STEADY}, peak_memory_bytes=1100)
    metrics = ("peak_memory_bytes",)
    assert asked(before, after, metrics=metrics, max_regression_percent=3).failed
    (row,) = asked(before, before, metrics=metrics, max_regression_percent=3).rows
    assert row.verdict == "equivalent"


def test_estimates_are_refused_and_never_the_default(study: Make) -> None:
    before = study("a", {"x": STEADY}, energy_method="estimated")
    after = study("b", {"x": times(1.5)}, energy_method="estimated")
    found = asked(before, after)
    assert [row.metric for row in found.rows] == ["output_tokens_per_second"]
    assert any("was not measured" in remark for remark in found.remarks)
    metrics = ("energy_total_j",)
    with pytest.raises(ConfigError, match="estimates"):
        asked(before, after, metrics=metrics)
    told = asked(before, after, metrics=metrics, anyway=True)
    assert "estimates" in told.objections[0]
    assert "estimates" in as_markdown(told)


def test_other_devices_hosts_and_workloads_are_refused(
    study: Make, measured: ExperimentResult
) -> None:
    before = study("a", {"x": STEADY})
    record = measured.model_record.model_copy(update={"devices": ["H100 (GPU-2)"]})
    environment = measured.environment_snapshot
    cpu = environment.cpu.model_copy(update={"model": "Another CPU"})
    longer = {**measured.effective_config, "max_output_tokens": 4096}
    for name, changes, told in (
        ("b", {"model_record": record}, "devices differ"),
        (
            "c",
            {"environment_snapshot": environment.model_copy(update={"cpu": cpu})},
            "hosts differ",
        ),
        ("d", {"effective_config": longer}, "max_output_tokens: 4 → 4096"),
        ("e", {"dataset_sha256": "0"}, "workloads differ"),
    ):
        after = study(name, {"x": STEADY}, **changes)
        with pytest.raises(ConfigError, match=told):
            asked(before, after)
        assert told in asked(before, after, anyway=True).objections[0]


def test_other_settings_and_software_are_said_and_not_refused(
    experiment: Make, measured: ExperimentResult
) -> None:
    environment = measured.environment_snapshot
    packages = {**environment.packages, "torch": "99"}
    changed = environment.model_copy(update={"packages": packages})
    config = {**measured.effective_config, "precision": "bf16"}
    after = experiment(
        "b",
        environment_snapshot=changed,
        effective_config=config,
        measurement_config_hash="another",
    )
    remarks = " ".join(asked(experiment("a"), after).remarks)
    assert "→ 99" in remarks
    assert "precision" in remarks


def test_nothing_in_common_is_refused(study: Make) -> None:
    with pytest.raises(ConfigError, match="no configuration in common"):
        asked(study("a", {"x": STEADY, "y": STEADY}), study("b", {"z": STEADY}))


def test_a_metric_is_known_by_its_name(study: Make) -> None:
    before = study("a", {"x": STEADY})
    with pytest.raises(ConfigError, match="did you mean energy_total_j"):
        asked(before, before, metrics=("energy_totl_j",))
    with pytest.raises(ConfigError, match="no configuration has load_goodput"):
        asked(before, before, metrics=("load_goodput_requests_per_second",))


def test_a_baseline_file_stands_for_its_study(study: Make, tmp_path: Path) -> None:
    before, after = study("a", {"x": STEADY, "y": STEADY}), study("b", {"x": times(1.1)})
    file = save_baseline(read_side(before), tmp_path / "baseline.json")
    assert read_side(file) == read_side(before)
    direct, through = asked(before, after), asked(file, after)
    assert through.rows == direct.rows
    assert through.only_before == ("y",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"llem_baseline": 99}, "version 99"),
        ({"llem_baseline": 1}, "no baseline that can be read"),
        ({"llem_baseline": 1, "side": {"name": 1}}, "no baseline that can be read"),
        ({"other": 1}, "no result"),
    ],
)
def test_a_baseline_that_is_none_is_refused(
    content: dict[str, Any], told: str, tmp_path: Path
) -> None:
    file = tmp_path / "result.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=told):
        read_side(file)


def test_a_running_study_says_so(study: Make) -> None:
    before, after = study("a", {"x": STEADY}), study("b", {"x": STEADY})
    manifest = json.loads((after / "manifest.json").read_text())
    manifest["status"] = "running"
    (after / "manifest.json").write_text(json.dumps(manifest))
    assert any("still running" in remark for remark in asked(before, after).remarks)


def test_markdown_is_text(study: Make) -> None:
    hostile = "m</td><script>|`[x](http://y)\x1b[31m"
    folder = study("a", {"x": STEADY}, model=hostile)
    text = as_markdown(asked(folder, folder))
    for markup in ("<script", "\x1b", "[x](", "|`"):
        assert markup not in text
    content = json.loads(as_json(asked(folder, folder)))
    assert content["failed"] is False
