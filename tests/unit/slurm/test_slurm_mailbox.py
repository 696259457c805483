"""Messages over files that another node sees late."""

from __future__ import annotations

from pathlib import Path

import pytest
from llem_core.contracts import LaunchFailure, LaunchSuccess, LaunchTask, decode, encode
from llem_core.events import ExperimentState, Phase, PhaseChanged, PhaseProgress
from llem_core.testing import ManualClock
from llem_slurm.mailbox import Inbox, Mailboxes
from llem_slurm.outbox import Outbox, Started

from tests.unit.slurm.late import LateFiles

TASK = LaunchTask("h", {"backend": "b"}, "/study", "001_h_c1")
STEPS = [
    PhaseChanged("h", ExperimentState.MEASURING, phase, 1.0)
    for phase in (Phase.LOAD, Phase.WARMUP, Phase.MEASURE)
]
LINES = [encode(step) for step in STEPS]


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return Mailboxes(tmp_path).new(TASK)


def test_what_one_side_writes_the_other_reads(box: Path) -> None:
    outbox, inbox = Outbox(box), Inbox(box)
    assert decode(outbox.task()) == TASK
    assert inbox.started is None
    assert inbox.ended is None
    assert list(inbox.events()) == []
    outbox.start(Started("n1", "7", 1))
    outbox.append(LINES[0] + LINES[1])
    assert inbox.started == Started("n1", "7", 1)
    assert list(inbox.events()) == STEPS[:2]
    outbox.append(LINES[2])
    outbox.end(encode(LaunchSuccess("001_h_c1/result.json", 10)))
    assert list(inbox.events()) == STEPS[2:]
    assert inbox.ended == LaunchSuccess("001_h_c1/result.json", 10)


@pytest.mark.parametrize("holes", [False, True])
def test_every_event_comes_once_and_in_order_however_late(box: Path, *, holes: bool) -> None:
    clock = ManualClock()
    late = LateFiles(box, clock, delay_s=60, holes=holes)
    outbox, inbox = Outbox(box), Inbox(box, late.read)
    seen = []
    text = b"".join(LINES)
    for number, _ in enumerate(text):  # a byte a second, so that every line is seen in part
        outbox.append(text[number : number + 1])
        late.note()
        clock.sleep(1)
        seen += list(inbox.events())
        assert len(seen) <= text[: max(0, number - 58)].count(b"\n")
    clock.sleep(60)
    seen += list(inbox.events())
    assert seen == STEPS
    assert inbox.broken is None


def test_an_end_that_is_seen_in_part_is_no_end_yet(box: Path) -> None:
    clock = ManualClock()
    late = LateFiles(box, clock, delay_s=5, holes=True)
    outbox, inbox = Outbox(box), Inbox(box, late.read)
    (box / "ended.json").touch()
    late.note()
    clock.sleep(5)
    outbox.end(encode(LaunchFailure("E", "m")))
    late.note()
    clock.sleep(1)
    assert inbox.ended is None
    clock.sleep(5)
    assert inbox.ended == LaunchFailure("E", "m")


def test_what_is_no_message_is_told_and_the_rest_is_read(box: Path) -> None:
    inbox = Inbox(box)
    Outbox(box).append(b"noise\n" + LINES[0])
    assert list(inbox.events()) == STEPS[:1]
    assert inbox.broken is not None
    assert "noise" in inbox.broken


def test_what_is_no_event_is_passed_over(box: Path) -> None:
    Outbox(box).append(encode(TASK) + encode(PhaseProgress("h", Phase.WARMUP, 1, 2, "s")))
    assert [type(event) for event in Inbox(box).events()] == [PhaseProgress]


def test_mailboxes_are_found_by_job_and_never_shared(tmp_path: Path) -> None:
    boxes = Mailboxes(tmp_path)
    first, second = boxes.new(TASK), boxes.new(TASK)
    assert first != second
    boxes.name_job("7", first)
    boxes.name_job("8_0", second)
    again = Mailboxes(tmp_path)
    assert (again.of_job("7"), again.of_job("8_0")) == (first, second)
    assert again.of_job("9") is None
    assert again.name == boxes.name
    assert Mailboxes(tmp_path / "other").name != boxes.name


@pytest.mark.parametrize("job_id", ["../7", "", "_", "7/../7", "name"])
def test_a_manifest_that_was_edited_leads_nowhere(job_id: str, tmp_path: Path) -> None:
    boxes = Mailboxes(tmp_path)
    boxes.name_job("7", boxes.new(TASK))
    assert boxes.of_job(job_id) is None


def test_a_mailbox_outside_of_the_study_is_none(tmp_path: Path) -> None:
    boxes = Mailboxes(tmp_path)
    boxes.name_job("7", boxes.new(TASK))
    (tmp_path / "slurm" / "jobs" / "7").write_text("../../elsewhere\n")
    assert boxes.of_job("7") is None
