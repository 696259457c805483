"""What a study shows while it runs, on a terminal and in a log, over a script of events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest
from llem_cli.show.live import LiveLine, can_rewrite, cut, displayed
from llem_cli.show.study_progress import StudyProgress, bar
from llem_cli.signals import Interruption
from llem_core.events import (
    Event,
    ExperimentStarted,
    ExperimentState,
    GapProgress,
    Phase,
    PhaseChanged,
    PhaseProgress,
    RunEnded,
    RunMoved,
    RunStarted,
    RunStatus,
    StudyFinished,
    StudyStarted,
)

CLEAR = "\r\x1b[K"
STARTED = StudyStarted("design", "batches", 2, 6, 12, 0, "results/batches_1")


def ended(
    position: int,
    status: RunStatus = "completed",
    *,
    energy_j: float | None = 0.0123,
    estimated: bool = False,
    remaining_s: float | None = 483.0,
    error: str | None = None,
    label: str = "batch_size=8",
) -> RunEnded:
    speed = 1234.5 if status == "completed" else None
    energy_j = energy_j if status == "completed" else None
    return RunEnded(
        *("hash", position, 12, 1, label, status, 42.1, remaining_s),
        *(energy_j, estimated, speed, error),
    )


def run(position: int, label: str = "batch_size=8", attempt: int = 1) -> list[Event]:
    return [
        RunStarted("hash", position, 12, 1, label, attempt),
        ExperimentStarted("hash", "any", "scripted", 40),
        PhaseChanged("hash", ExperimentState.INITIALISING, Phase.WARMUP, 1.5),
        PhaseProgress("hash", Phase.WARMUP, 3, 20, "prompts"),
        PhaseChanged("hash", ExperimentState.MEASURING, Phase.MEASURE, 2.5),
    ]


def told(
    capsys: pytest.CaptureFixture[str],
    events: Sequence[Event],
    *,
    terminal: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> str:
    line = LiveLine(terminal and not quiet)
    now = datetime(2026, 1, 5, 14, 0, 30)
    with StudyProgress(quiet, verbose, Interruption(), line=line, now=lambda: now) as progress:
        for event in events:
            progress(event)
    return capsys.readouterr().err


def rewritten(err: str) -> list[str]:
    """What stood on the live line, one after the other."""
    return [piece for piece in err.split(CLEAR) if piece and not piece.endswith("\n")]


class TestLog:
    def test_a_line_for_each_run_that_ended_and_no_other(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        gap = GapProgress("design", "config", 30, 60)
        err = told(capsys, [STARTED, *run(1), ended(1), gap, *run(2), ended(2), *run(3)])
        first, *lines = err.splitlines()
        assert first == (
            "Study batches: 2 configurations × 6 cycles = 12 runs; in results/batches_1"
        )
        assert len(lines) == 2
        for position, line in enumerate(lines, 1):
            assert (
                line.split()
                == (
                    f"[ {position}/12] cycle 1 completed 12.3 mJ/token took 42.1 s 8 min 03 s left "
                    "batch_size=8"
                ).split()
            )
        assert "\x1b" not in err

    def test_an_estimate_carries_the_word(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "12.3 mJ/token (estimated)" in told(capsys, [STARTED, ended(1, estimated=True)])
        assert "estimated" not in told(capsys, [STARTED, ended(1)])

    def test_without_energy_the_speed_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        err = told(capsys, [STARTED, ended(1, energy_j=None)])
        assert "1,234 tokens/s" in err
        assert "J/token" not in err

    def test_a_failure_has_its_reason_on_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        err = told(capsys, [STARTED, ended(1, "failed", error="BackendError: no\nroom\x1b[1m")])
        assert err.splitlines()[1].endswith("batch_size=8: BackendError: no room [1m")
        assert "failed     no result" in err

    def test_what_was_completed_before_counts(self, capsys: pytest.CaptureFixture[str]) -> None:
        resumed = StudyStarted("design", "batches", 2, 6, 12, 5, "results/batches_1")
        assert "12 runs, 5 of them completed before;" in told(capsys, [resumed])

    def test_quiet_is_quiet(self, capsys: pytest.CaptureFixture[str]) -> None:
        gap = GapProgress("design", "config", 30, 60)
        events = [STARTED, *run(1), ended(1, "failed"), gap]
        assert told(capsys, events, quiet=True, terminal=True) == ""

    def test_verbose_tells_each_step(self, capsys: pytest.CaptureFixture[str]) -> None:
        err = told(capsys, [STARTED, *run(1, attempt=2), ended(1)], verbose=True)
        steps = ["attempt 2: batch_size=8", "1.50 s  warming up", "2.50 s  measuring 40 prompts"]
        places = [err.index(step) for step in [*steps, "completed"]]
        assert places == sorted(places)


def moved(node: str | None, waits_for: str | None) -> RunMoved:
    return RunMoved("hash", 3, 12, 1, "batch_size=8", "job 17", node, waits_for)


class TestQueue:
    EVENTS = (
        STARTED,
        moved(None, "Priority"),
        moved(None, "Resources"),
        moved("n2", None),
    )

    def test_a_line_when_it_waits_and_when_it_has_its_node(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert told(capsys, self.EVENTS).splitlines()[1:] == [
            "[ 3/12] cycle 1  queued (job 17): Priority  batch_size=8",
            "[ 3/12] cycle 1  on n2 (job 17)  batch_size=8",
        ]

    def test_verbose_tells_every_reason(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "queued (job 17): Resources" in told(capsys, self.EVENTS, verbose=True)


class TestTerminal:
    def test_the_live_line_follows_and_goes_away(self, capsys: pytest.CaptureFixture[str]) -> None:
        err = told(capsys, [STARTED, *run(1, "b=8"), ended(1), *run(2, "b=8")], terminal=True)
        assert rewritten(err) == [
            "[----------] 0/12 | cycle 1: starting | b=8",
            "[----------] 0/12 | cycle 1: warming up | b=8",
            "[----------] 0/12 | cycle 1: warming up, 3 of 20 prompts at the most | b=8",
            "[----------] 0/12 | cycle 1: measuring 40 prompts since 14:00:30 | b=8",
            "[----------] 1/12 | ends about 14:08",
            "[----------] 1/12 | ends about 14:08 | cycle 1: starting | b=8",
            "[----------] 1/12 | ends about 14:08 | cycle 1: warming up | b=8",
            "[----------] 1/12 | ends about 14:08 | cycle 1: warming up, 3 of 20 prompts at…",
            "[----------] 1/12 | ends about 14:08 | cycle 1: measuring 40 prompts since 14:…",
        ]
        assert err.endswith(CLEAR)

    def test_a_countdown_in_a_gap(self, capsys: pytest.CaptureFixture[str]) -> None:
        gaps = [GapProgress("design", "cycle", left, 300) for left in (252.0, 0.4, 0.0)]
        err = told(capsys, [STARTED, ended(1, remaining_s=None), *gaps], terminal=True)
        assert rewritten(err)[1:] == [
            "[----------] 1/12 | pause, next cycle in 4 min 12 s",
            "[----------] 1/12 | pause, next cycle in 1 s",
            "[----------] 1/12",
        ]

    def test_what_varies_goes_below_where_it_does_not_fit(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        label = "pytorch.batch_size=8, pytorch.attn_implementation=eager"
        err = told(capsys, [STARTED, ended(1, label=label)], terminal=True)
        facts, below = [line for line in err.split("\n") if "[ 1/12]" in line or label in line]
        assert displayed(facts.removeprefix(CLEAR)) < 80
        assert below == f"    {label}"

    def test_another_day_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        err = told(capsys, [STARTED, ended(1, remaining_s=86_400)], terminal=True)
        assert "ends about Tue 14:00" in err

    def test_all_done_is_a_full_bar_and_nothing_else_is(self) -> None:
        assert bar(12, 12) == "[##########]"
        assert bar(11_999, 12_000) == "[#########-]"
        assert bar(0, 0) == "[----------]"


def test_failures_are_kept_for_the_summary() -> None:
    progress = StudyProgress(quiet=True, verbose=False, interruption=Interruption())
    bad = ended(2, "failed", error="BackendError: no")
    for event in [STARTED, ended(1), bad, StudyFinished("design", "failed", 1, 1, 9.0)]:
        progress(event)
    assert progress.failures == [bad]
    assert (progress.n_completed, progress.n_runs) == (1, 12)
    assert progress.directory == "results/batches_1"


def test_a_swallowed_interrupt_comes_back_with_the_next_event() -> None:
    interruption = Interruption()
    progress = StudyProgress(quiet=True, verbose=False, interruption=interruption)
    interruption.number = 2
    progress(ended(1, "interrupted"))  # the study is ending already
    with pytest.raises(KeyboardInterrupt):
        progress(GapProgress("design", "config", 1, 2))


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("a\nb\x1b[2J", 20, "a b [2J"),
        ("模型模型", 8, "模型模型"),
        ("模型模型", 7, "模型模…"),
        ("é" * 6, 6, "é" * 6),
    ],
)
def test_cut_counts_columns(text: str, most: int, shown: str) -> None:
    assert cut(text, most) == shown
    assert displayed(cut(text, most)) <= most


def test_no_rewriting_without_a_terminal() -> None:
    assert not can_rewrite()
