"""A run as its study sees it: the queue says one thing, the files another, and both late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from llem_core.contracts import (
    Event,
    LaunchFailure,
    LaunchSuccess,
    LaunchTask,
    RunState,
    encode,
)
from llem_core.events import ExperimentState, Phase, PhaseChanged
from llem_core.testing import ManualClock
from llem_slurm.job import TOLD_TO_END
from llem_slurm.mailbox import Inbox, Mailboxes
from llem_slurm.outbox import Outbox, Started
from llem_slurm.queue import CommandError, Queue
from llem_slurm.run import SlurmRun

from tests.unit.slurm.late import LateFiles

VISIBILITY_S = 60.0
STEP = PhaseChanged("h", ExperimentState.MEASURING, Phase.LOAD, 1.0)


@dataclass
class Cluster:
    """One job on a node whose files appear late, and SLURM's answers."""

    study: Path
    delay_s: float = 0.0
    node: str | None = None
    said: str = "7|PENDING|Priority|"
    cancelled: list[str] = field(default_factory=list)
    after_cancel: str = "7|CANCELLED|None|n1"

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        task = LaunchTask("h", {}, str(self.study), "001_h_c1", block="c1", node=self.node)
        folder = Mailboxes(self.study).new(task)
        self.outbox = Outbox(folder)
        self.late = LateFiles(folder, self.clock, self.delay_s)
        queue = Queue("llem-1", 5.0, self.command, self.clock, self.clock.sleep)
        self.run = SlurmRun(
            *(task, "7", Inbox(folder, self.late.read), queue, self.study / "scripts"),
            *(VISIBILITY_S, self.clock, self.clock.sleep),
        )

    def command(self, arguments: Sequence[str]) -> str:
        if arguments[0] == "sacct":
            raise CommandError("accounting is off")
        if arguments[0] == "scancel":
            self.cancelled.append(arguments[1])
            self.said = self.after_cancel
        return self.said

    def starts(self) -> None:
        self.said = "7|RUNNING|None|n1"
        self.outbox.start(Started("n1", "7", 1))
        self.late.note()

    def succeeds(self) -> None:
        self.outbox.end(encode(LaunchSuccess("001_h_c1/result.json", 2)))
        self.late.note()

    def result_appears(self, text: str = "{}") -> None:
        (self.study / "001_h_c1").mkdir(exist_ok=True)
        (self.study / "001_h_c1" / "result.json").write_text(text)

    def follow(self, for_s: float) -> list[Event]:
        """Follow the run for a while; fewer seconds pass where it ends before."""
        seen: list[Event] = []
        until_s = self.clock() + for_s
        while self.clock() < until_s and self.run.result() is None:
            seen += self.run.events(until_s - self.clock())
        return seen

    @property
    def failure(self) -> LaunchFailure:
        result = self.run.result()
        assert isinstance(result, LaunchFailure)
        return result


def test_it_waits_then_runs_then_ends(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.follow(100)
    assert (cluster.run.state, cluster.run.waits_for) == (RunState.QUEUED, "Priority")
    cluster.starts()
    assert list(cluster.run.events(100)) == []  # returns at once, as the state has changed
    assert cluster.clock() < 101
    assert (cluster.run.state, cluster.run.node) == (RunState.RUNNING, "n1")
    assert cluster.run.waits_for is None
    cluster.outbox.append(encode(STEP))
    cluster.late.note()
    cluster.result_appears()
    cluster.succeeds()
    assert cluster.follow(10) == [STEP]
    assert cluster.run.state is RunState.ENDED
    assert cluster.run.result() == LaunchSuccess("001_h_c1/result.json", 2)
    cluster.run.kill()
    assert cluster.cancelled == []


def test_a_job_that_says_that_it_runs_is_believed_before_the_queue(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.follow(1)
    cluster.outbox.start(Started("n2", "7", 1))
    cluster.late.note()
    cluster.follow(1)
    assert (cluster.run.state, cluster.run.node) == (RunState.RUNNING, "n2")


def test_a_run_that_was_over_before_anybody_looked_has_its_node(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.starts()
    cluster.result_appears()
    cluster.succeeds()
    cluster.follow(10)
    assert isinstance(cluster.run.result(), LaunchSuccess)
    assert cluster.run.node == "n1"


def test_a_run_whose_beginning_has_not_appeared_has_its_node_from_the_queue(
    tmp_path: Path,
) -> None:
    cluster = Cluster(tmp_path)
    cluster.said = "7|COMPLETING|None|n2"
    cluster.result_appears()
    cluster.succeeds()
    cluster.follow(10)
    assert isinstance(cluster.run.result(), LaunchSuccess)
    assert cluster.run.node == "n2"


def test_a_result_that_appears_late_is_waited_for_after_the_job_is_over(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, delay_s=50)
    cluster.starts()
    cluster.succeeds()
    cluster.said = "7|COMPLETED|None|n1"
    cluster.follow(49)
    assert cluster.run.result() is None
    cluster.follow(5)  # now `ended.json` is here, and the result itself is not
    assert cluster.run.result() is None
    cluster.result_appears("{")
    cluster.follow(2)
    assert cluster.run.result() is None, "half a result"
    cluster.result_appears()
    cluster.follow(2)
    assert cluster.run.result() == LaunchSuccess("001_h_c1/result.json", 2)


def test_a_result_that_never_appears_is_a_failure_after_its_time(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, delay_s=1e9)
    cluster.starts()
    cluster.succeeds()
    cluster.said = "7|COMPLETED|None|n1"
    cluster.follow(1000)
    assert VISIBILITY_S < cluster.clock() < VISIBILITY_S + 10
    assert cluster.failure.error_type == "WorkerDied"
    assert "its result has not appeared" in cluster.failure.message


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("NODE_FAIL|NodeDown|n1", "NodeLost", "its node n1 failed"),
        ("PREEMPTED|None|n1", "Preempted", "higher priority"),
        ("TIMEOUT|TimeLimit|n1", "TimeLimit", "time_margin_seconds"),
        ("OUT_OF_MEMORY|None|n1", "OutOfMemoryError", "memory_gib"),
        ("CANCELLED|None|n1", "JobCancelled", "from outside"),
        ("FAILED|NonZeroExitCode|n1", "WorkerDied", "NonZeroExitCode"),
        ("SOMETHING_NEW|None|n1", "WorkerDied", "SOMETHING_NEW"),
        ("", "JobLost", "keeps no accounts"),
    ],
)
def test_how_a_job_ends_is_told_by_its_kind(
    said: str, kind: str, told: str, tmp_path: Path
) -> None:
    cluster = Cluster(tmp_path)
    cluster.starts()
    cluster.outbox.append(encode(STEP))
    cluster.late.note()
    cluster.follow(6)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "7_0_log.out").write_text("slurmstepd: error: what SLURM wrote\n")
    cluster.said = f"7|{said}" if said else ""
    cluster.follow(1000)
    assert cluster.failure.error_type == kind
    assert told in cluster.failure.message
    assert cluster.failure.phase == "load"
    assert cluster.failure.traceback == "slurmstepd: error: what SLURM wrote"


def test_what_a_dying_worker_sent_is_told(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.starts()
    cluster.outbox.append(encode(STEP) + b"Segmentation fault\n")
    cluster.outbox.end(encode(LaunchFailure("WorkerDied", "it was ended by SIGSEGV")))
    cluster.late.note()
    assert cluster.follow(20) == [STEP]
    assert "SIGSEGV; of what it sent, this is unusable" in cluster.failure.message
    assert "Segmentation fault" in cluster.failure.message


def test_a_job_that_was_told_to_end_takes_its_reason_from_the_queue(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.starts()
    cluster.follow(6)
    cluster.outbox.end(encode(LaunchFailure(TOLD_TO_END, "the job was told to end by SIGTERM")))
    cluster.late.note()
    cluster.follow(20)
    assert cluster.run.result() is None, "SLURM still calls it running"
    cluster.said = "7|TIMEOUT|TimeLimit|n1"
    cluster.follow(20)
    assert cluster.failure.error_type == "TimeLimit"


def test_a_job_that_was_told_to_end_and_is_forgotten_was_cancelled(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.starts()
    cluster.outbox.end(encode(LaunchFailure(TOLD_TO_END, "the job was told to end by SIGTERM")))
    cluster.late.note()
    cluster.said = ""
    cluster.follow(20)
    assert cluster.failure.error_type == "JobCancelled"


def test_a_job_that_is_cancelled_in_the_queue_is_not_waited_for(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.follow(6)
    cluster.said = "7|CANCELLED|None|"
    cluster.follow(1000)
    assert cluster.clock() < 20
    assert cluster.failure.error_type == "JobCancelled"


def test_killing_cancels_and_waits(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.starts()
    cluster.follow(6)
    cluster.run.kill()
    assert cluster.cancelled == ["7"]
    assert cluster.failure.error_type == "JobCancelled"
    assert "SLURM has not confirmed" not in cluster.failure.message
    cluster.run.kill()
    assert cluster.cancelled == ["7"]


def test_a_job_that_cannot_be_cancelled_is_named(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, after_cancel="7|RUNNING|None|n1")
    cluster.starts()
    cluster.run.kill()
    assert "end it with `scancel 7`" in cluster.failure.message


def test_a_result_that_came_while_it_was_killed_counts(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.starts()
    cluster.result_appears()
    cluster.succeeds()
    cluster.run.kill()
    assert cluster.run.result() == LaunchSuccess("001_h_c1/result.json", 2)


@pytest.mark.parametrize("node", ["n2", None])
def test_a_block_whose_node_is_down_is_lost_and_others_go_on_waiting(
    node: str | None, tmp_path: Path
) -> None:
    cluster = Cluster(tmp_path, node=node, after_cancel="7|CANCELLED|None|")
    cluster.said = "7|PENDING|ReqNodeNotAvail, UnavailableNodes:n2|"
    cluster.follow(VISIBILITY_S - 10)
    cluster.said = "7|PENDING|Resources|"
    cluster.follow(20)
    cluster.said = "7|PENDING|ReqNodeNotAvail, UnavailableNodes:n2|"
    cluster.follow(VISIBILITY_S - 10)
    assert cluster.run.result() is None
    cluster.follow(30)
    if node is None:
        assert cluster.run.result() is None
        assert cluster.run.waits_for == "ReqNodeNotAvail, UnavailableNodes:n2"
    else:
        assert cluster.cancelled == ["7"]
        assert cluster.failure.error_type == "NodeLost"
        assert "n2" in cluster.failure.message
