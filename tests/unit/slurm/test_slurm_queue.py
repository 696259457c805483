"""What is asked of SLURM, and what is made of its answers."""

from __future__ import annotations

from collections.abc import Sequence

from llem_core.testing import ManualClock
from llem_slurm.queue import GONE, CommandError, JobState, Queue


class Slurm:
    """Stands for SLURM's commands: says what it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.queue: str | None = ""
        self.accounts: str | None = None
        self.asked: list[str] = []
        self.ends_slowly = 0

    def __call__(self, arguments: Sequence[str]) -> str:
        self.asked.append(arguments[0])
        if arguments[0] == "scancel" and self.queue is not None:
            self.queue = self.queue.replace("RUNNING", "COMPLETING").replace("PENDING", "CANCELLED")
        if arguments[0] == "squeue" and self.queue is not None and "COMPLETING" in self.queue:
            self.ends_slowly -= 1
            if self.ends_slowly < 0:
                self.queue = self.queue.replace("COMPLETING", "CANCELLED")
        said = {"squeue": self.queue, "sacct": self.accounts, "scancel": self.queue}[arguments[0]]
        if said is None:
            raise CommandError("Unable to contact slurm controller")
        return said


def asked(slurm: Slurm, poll_s: float = 5.0) -> tuple[Queue, ManualClock]:
    clock = ManualClock(100.0)
    return Queue("llem-1", poll_s, slurm, clock, clock.sleep), clock


def test_states_reasons_and_nodes_are_read() -> None:
    slurm = Slurm()
    slurm.queue = "7|RUNNING|None|n1\n8_0|PENDING|Resources|\n8_1|PENDING|ReqNodeNotAvail, X:n2|\n"
    queue, _ = asked(slurm)
    assert queue.look("7", 0) == JobState("RUNNING", "", "n1")
    assert queue.look("8_0", 0) == JobState("PENDING", "Resources", "")
    waiting = queue.look("8_1", 0)
    assert waiting == JobState("PENDING", "ReqNodeNotAvail, X:n2", "")
    assert waiting is not None
    assert waiting.is_waiting
    assert not waiting.is_over


def test_one_question_serves_all_jobs_until_it_is_old() -> None:
    slurm = Slurm()
    slurm.queue = "7|RUNNING|None|n1\n8|RUNNING|None|n2\n"
    queue, clock = asked(slurm)
    for _ in range(3):
        queue.look("7", 0)
        queue.look("8", 0)
    assert slurm.asked == ["squeue"]
    clock.sleep(5)
    queue.look("7", 0)
    assert slurm.asked == ["squeue", "squeue"]


def test_an_answer_from_before_the_submission_says_nothing_of_the_job() -> None:
    queue, clock = asked(slurm := Slurm())
    assert queue.look("7", 100.0) == JobState(GONE)
    slurm.queue = "8|PENDING|Priority|\n"
    clock.sleep(1)
    assert queue.look("8", 101.0) is None
    clock.sleep(5)
    assert queue.look("8", 101.0) == JobState("PENDING", "Priority")


def test_a_controller_that_is_silent_is_no_lost_job() -> None:
    slurm = Slurm()
    slurm.queue = None
    queue, clock = asked(slurm)
    for _ in range(20):
        assert queue.look("7", 0) is None
        clock.sleep(5)
    assert queue.trouble == "Unable to contact slurm controller"
    slurm.queue = "7|RUNNING|None|n1\n"
    assert queue.look("7", 0) == JobState("RUNNING", "", "n1")
    assert queue.trouble is None
    slurm.queue = None
    clock.sleep(5)
    assert queue.look("7", 0) == JobState("RUNNING", "", "n1")


def test_accounts_are_asked_once_for_a_job_that_is_forgotten() -> None:
    slurm = Slurm()
    slurm.accounts = "CANCELLED by 1000|n2\n"
    queue, clock = asked(slurm)
    assert queue.look("7", 0) == JobState("CANCELLED", "", "n2")
    clock.sleep(10)
    queue.look("7", 0)
    assert slurm.asked.count("sacct") == 1


def test_without_accounts_a_forgotten_job_is_gone_and_they_are_not_asked_again() -> None:
    queue, _ = asked(slurm := Slurm())
    gone = queue.look("7", 0)
    assert gone == JobState(GONE)
    assert gone is not None
    assert gone.is_over
    queue.look("8", 0)
    assert slurm.asked.count("sacct") == 1


def test_cancelling_waits_until_nothing_runs() -> None:
    slurm = Slurm()
    slurm.queue, slurm.ends_slowly = "7|RUNNING|None|n1\n8|PENDING|Priority|\n", 3
    queue, clock = asked(slurm)
    assert not queue.cancel(["7", "8"])
    assert slurm.asked.count("squeue") == 4
    assert clock() > 101


def test_a_cancellation_that_nobody_confirms_is_told() -> None:
    slurm = Slurm()
    slurm.queue = None
    queue, clock = asked(slurm)
    assert queue.cancel(["7"], limit_s=10) == {"7"}
    assert clock() > 110
    assert slurm.asked.count("scancel") > 2, "a controller that is back must be told again"


def test_a_silent_controller_is_waited_for_once() -> None:
    slurm = Slurm()
    slurm.queue = None
    queue, clock = asked(slurm)
    queue.cancel(["7"], limit_s=100)
    before_s = clock()
    assert queue.cancel(["8"], limit_s=100) == {"8"}
    assert clock() - before_s < 2
    slurm.queue = "8|RUNNING|None|n1\n9|RUNNING|None|n1\n"
    assert not queue.cancel(["8"], limit_s=100)
    slurm.queue, slurm.ends_slowly = "9|RUNNING|None|n1\n", 3
    assert not queue.cancel(["9"], limit_s=100), "it has answered, so that it is waited for again"


def test_jobs_that_nobody_knows_of_are_found() -> None:
    slurm = Slurm()
    slurm.queue = "7|RUNNING|None|n1\n8|PENDING|Priority|\n9|COMPLETED|None|n1\n"
    queue, _ = asked(slurm)
    assert queue.others(["7"]) == ["8"]
    slurm.queue = None
    assert queue.others(["7"]) is None
