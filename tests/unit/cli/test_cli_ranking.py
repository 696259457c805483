"""The final table of a study: ranks, intervals, ties and the word where energy is an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from llem_cli.show.summary import summarise_study
from llem_core.contracts.sampler import EnergyMethod
from llem_core.events import RunEnded
from llem_core.results.study import (
    ConfigurationSummary,
    CycleStatistics,
    MeasurementProtocol,
    SkippedCombination,
    StudyResult,
    StudySummary,
)

LONG = "pytorch.batch_size=8, pytorch.attn_implementation=flash_attention_2, precision=bf16"


def over_cycles(mean: float, half: float | None, n: int = 3) -> CycleStatistics:
    low, high = (None, None) if half is None else (mean - half, mean + half)
    spread = None if half is None else half / 2.5
    share = None if spread is None else spread / mean
    return CycleStatistics(
        n=n,
        mean=mean,
        standard_deviation=spread,
        coefficient_of_variation=share,
        interval_low=low,
        interval_high=high,
    )


def configuration(
    label: str,
    mean_j: float | None = None,
    half_j: float | None = 0.0001,
    *,
    rank: int | None = None,
    tied: bool | None = None,
    method: EnergyMethod | None = "counter",
    failed: int = 0,
) -> ConfigurationSummary:
    done = 3 - failed
    return ConfigurationSummary(
        config_hash=f"{abs(hash(label)):016x}"[:16],
        label=label,
        n_completed=done,
        n_failed=failed,
        energy_method=None if mean_j is None else method,
        energy_per_output_token_j=None if mean_j is None else over_cycles(mean_j, half_j),
        energy_adjusted_j=None,
        output_tokens_per_second=over_cycles(1234.5, 10.0) if done else None,
        rank=rank,
        indistinguishable_from_previous=tied,
    )


def study(
    configurations: Sequence[ConfigurationSummary],
    *,
    estimated: bool = False,
    skipped: Sequence[tuple[str, str]] = (),
) -> StudyResult:
    n_failed = sum(c.n_failed for c in configurations)
    n_completed = sum(c.n_completed for c in configurations)
    measured = any(c.energy_per_output_token_j for c in configurations)
    return StudyResult(
        study_name="batches",
        study_design_hash="0123456789abcdef",
        status="failed" if n_failed else "completed",
        started_at="2026-01-01T00:00:00Z",
        finished_at="2026-01-01T01:00:00Z",
        measurement_protocol=MeasurementProtocol(
            n_cycles=3,
            cycle_order="shuffled",
            shuffle_seed="0123456789abcdef",
            config_gap_seconds=60,
            cycle_gap_seconds=300,
            experiment_timeout_seconds=7200,
            process_isolation="spawn",
            interval="t",
            comparison="Welch",
        ),
        result_files=[],
        summary=StudySummary(
            n_generated=len(configurations),
            n_configurations=len(configurations),
            n_skipped=0,
            n_cycles=3,
            n_runs=3 * len(configurations),
            n_completed=n_completed,
            n_failed=n_failed,
            n_not_run=0,
            energy_total_j=4321.0 if measured else None,
            energy_estimated=estimated,
            duration_measured_s=600.0,
            duration_total_s=3600.0,
        ),
        configurations=list(configurations),
        skipped=[SkippedCombination(label=label, reason=reason) for label, reason in skipped],
        merged=[],
        warnings=[],
    )


def table(text: str) -> list[str]:
    return text.split("\n\n")[1].splitlines()[1:]


def words(line: str) -> list[str]:
    return line.split()


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_best_first_in_one_unit_whatever_the_order_of_the_file() -> None:
    text = summarise_study(
        study(
            [
                configuration("batch_size=1", 1.1, 0.02, rank=3, tied=False),
                configuration("batch_size=8", 0.095, 0.001, rank=1),
                configuration("batch_size=4", 0.2, 0.004, rank=2, tied=False),
            ]
        )
    )
    assert list(map(words, table(text))) == [
        ["rank", "mJ/token", "95", "%", "interval", "tokens/s", "cycles", "configuration"],
        ["1", "95.00", "94.00", "to", "96.00", "1,234", "3", "batch_size=8"],
        ["2", "200.00", "196.00", "to", "204.00", "1,234", "3", "batch_size=4"],
        ["3", "1,100.00", "1,080.00", "to", "1,120.00", "1,234", "3", "batch_size=1"],
        words("- Each rank can be told apart from the one above it (Welch's t-test, 95 %)."),
    ]
    points = {line.index(".") for line in table(text)[1:4]}
    assert len(points) == 1


def test_ties_are_marked_and_said() -> None:
    text = summarise_study(
        study([configuration("a", 0.1, rank=1), configuration("b", 0.101, rank=2, tied=True)])
    )
    assert table(text)[2].split()[0] == "~2"
    assert "~ cannot be told apart from the rank above it" in text
    assert "Each rank can be told apart" not in text


def test_one_cycle_claims_no_difference() -> None:
    text = summarise_study(
        study([configuration("a", 0.1, None, rank=1), configuration("b", 0.2, None, rank=2)])
    )
    assert [line.split()[2] for line in table(text)[1:3]] == ["none", "none"]
    assert "whether it differs from the rank above it cannot be said" in " ".join(text.split())
    assert "can be told apart" not in text


class TestEstimates:
    def test_all_of_them_have_the_word_over_the_column(self) -> None:
        text = summarise_study(
            study(
                [
                    configuration("a", 0.1, rank=1, method="estimated"),
                    configuration("b", 0.2, rank=2, tied=False, method="estimated"),
                ],
                estimated=True,
            )
        )
        over, heading = table(text)[:2]
        assert over.split() == ["estimated", "estimated"]
        assert "no ground for a comparison" in " ".join(text.split())
        assert "Each rank can be told apart" not in text
        ends = [over.index("estimated") + 9, over.rindex("estimated") + 9]
        assert ends == [heading.index("mJ/token") + 8, heading.index("interval") + 8]
        assert "4.32 kJ (estimated)" in text

    def test_beside_measured_ones_each_has_the_word(self) -> None:
        text = summarise_study(
            study(
                [
                    configuration("a", 0.1, rank=1),
                    configuration("b", 0.2, rank=2, tied=False, method="estimated"),
                ],
                estimated=True,
            )
        )
        _, first, second = table(text)[:3]
        assert "measured" in first
        assert "estimated" not in first
        assert "estimated" in second

    def test_a_measurement_never_has_it(self) -> None:
        assert "estimate" not in summarise_study(study([configuration("a", 0.1, rank=1)]))


def test_without_any_energy_there_is_no_ranking() -> None:
    text = summarise_study(study([configuration("b"), configuration("a")]))
    assert "no energy to rank by" in text
    assert list(map(words, table(text)[-3:])) == [
        ["tokens/s", "cycles", "configuration"],
        ["1,234", "3", "b"],
        ["1,234", "3", "a"],
    ]
    assert "not measured" in text


def test_what_failed_and_what_was_skipped_is_told_with_its_reason() -> None:
    failure = RunEnded(
        "hash", 2, 6, 1, "b", "failed", 1.0, None, None, False, None, "OutOfMemoryError: too big"
    )
    text = summarise_study(
        study(
            [configuration("a", 0.1, rank=1), configuration("b", failed=3)],
            skipped=[("c", "precision: it is no such thing")],
        ),
        [failure],
        [Path("results/x/study_result.json")],
    )
    assert "  - b, cycle 1: OutOfMemoryError: too big" in text
    assert "  - c: precision: it is no such thing" in text
    assert "  - results/x/study_result.json" in text
    assert "3 of 6 completed, 3 failed" in text
    (row,) = [line for line in table(text) if line.endswith(" b")]
    assert row.split() == ["none", "none", "none", "none", "0", "of", "3", "b"]


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_long_labels_fit_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = summarise_study(study([configuration(LONG, 0.1, rank=1), configuration("b", 0.2)]))
    assert LONG.replace(" ", "") in "".join(text.split())
    facts = 55  # rank, energy, interval, speed and cycles cannot be made narrower
    longest_word = 47
    assert all(len(line) <= max(columns, facts, longest_word + 8) for line in text.splitlines())
