"""The conformance kit of launchers."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar

from llem_core.contracts import (
    Availability,
    Launcher,
    LauncherSpec,
    LaunchFailure,
    LaunchSuccess,
    RunState,
)
from llem_core.events import ExperimentFinished, ExperimentStarted, PhaseChanged
from llem_core.testing.conformance.launching.life import SLICE_S, Attached, Lives, RunRecord
from llem_core.testing.conformance.launching.subject import installed, make_task
from llem_core.testing.conformance.rules import breach, rule, skip
from llem_core.testing.conformance.section import SectionRules
from llem_core.testing.conformance.watch import Watched, watch

_SLACK_S = 2.0
_ORDER = (RunState.QUEUED, RunState.RUNNING, RunState.ENDED)
FoundT = TypeVar("FoundT")


class LauncherContract(SectionRules[LauncherSpec]):
    """Checks a launcher against its contract, with or without pytest.

    It starts real runs of a backend of its own, some seconds each; where the launcher says that
    it cannot be used, they are skipped with its reason. The processes of runs find that backend by
    ``PYTHONPATH``, so a launcher has to pass the environment on.

    Example::

        class TestMine(LauncherContract):
            plugin = "my_plugin.hooks"

    Attributes:
        folder: a folder that the runs see, for the study's own; a temporary one by default.
        limit_s: after which a run that says nothing counts as hung (s): give a cluster more.
    """

    folder: ClassVar[Path | None] = None
    limit_s: ClassVar[float] = 60.0

    _kind = LauncherSpec
    _hook = "llem_launchers"
    _offers = "launchers"
    _found: ClassVar[dict[str, object]]
    _watched: ClassVar[Watched]

    def create(self) -> Launcher:
        """A new launcher of the spec."""
        return self.the_spec().create(self.make_section())

    def watched(self) -> Watched:
        """What making all runs did to the process."""
        self._record()
        return type(self)._watched

    def _record(self) -> dict[str, object]:
        """Make all runs, once; what broke off is kept in place of what it would have given."""
        own = type(self)
        if "_found" not in vars(own):
            own._found = {}
            with contextlib.ExitStack() as stack:
                stack.enter_context(self.surroundings())
                available = self.the_spec().availability()
                if not available.usable:
                    own._found = dict.fromkeys(_PARTS, available)
                    own._watched = Watched()
                    return own._found
                study = Path(tempfile.mkdtemp(prefix="llem-kit-", dir=self.folder))
                stack.callback(shutil.rmtree, study, ignore_errors=True)
                stack.enter_context(installed())
                own._watched = stack.enter_context(watch())
                lives = Lives(self.create, study, self.limit_s)
                stack.callback(_quietly, lives.close)
                for number, (name, make) in enumerate(_PARTS.items(), start=1):
                    # Where a run cannot go on, there is none to be found again.
                    former = own._found.get("go_on")
                    broken = isinstance(former, BaseException)
                    own._found[name] = former if broken else _attempt(make, lives, number)
                found = own._found["end"]
                if isinstance(found, RunRecord) and isinstance(found.result, LaunchSuccess):
                    path = study / found.result.result_file
                    own._found["size_bytes"] = path.stat().st_size if path.is_file() else None
        return own._found

    def _part(self, name: str, kind: type[FoundT], code: str | None = None) -> FoundT:
        """A recorded part; a rule that does not own it is skipped where it broke off.

        Args:
            name: which part.
            kind: what it is.
            code: the rule that owns it, when another one asks.
        """
        found = self._record()[name]
        if isinstance(found, Availability):
            skip(f"it cannot be used here: {found.reason}")
        if isinstance(found, BaseException):
            if code is not None:
                skip(f"{code} is broken; mend that first")
            raise found
        assert isinstance(found, kind)
        return found

    @rule("L1", "constructor-remembers", "start what is needed in `start` or `warm_up`.")
    def test_l1_constructor_remembers(self) -> None:
        """Making a launcher starts nothing, and it says how runs get their processes and how many
        may run at once.

        It is made before it is known whether the study has anything left to do; what it says goes
        into the study's protocol.
        """
        with self.surroundings():
            with watch() as watched:
                launcher = self.create()
            launcher.close()
        started = [*watched.threads, *watched.children]
        if started:
            breach(f"making it started {', '.join(started)}")
        if not isinstance(launcher, Launcher):
            breach(f"`create` gave {type(launcher).__name__}, not a Launcher")
        slots = launcher.slots
        if not isinstance(slots, int) or isinstance(slots, bool) or slots < 1:
            breach(f"slots is {slots!r}")
        isolation = launcher.isolation
        if not isinstance(isolation, str) or not isolation.strip() or isolation == "unknown":
            breach(f"isolation is {isolation!r}; say it in words")

    @rule("L2", "start-returns", "return from `start` when the run is on its way.")
    def test_l2_start_returns(self) -> None:
        """`start` returns at once with a run that has no result yet, and a run starts.

        The runner follows many runs in one thread.
        """
        self._part("go_on", RunRecord)

    @rule("L3", "events-told", "pass every event on, in order, and nothing twice.")
    def test_l3_events_told(self) -> None:
        """`events` yields all that the run tells, each once, in order, as it happens.

        The display, the plugins that listen, and the step that a failure is reported in come of
        them.
        """
        events = self._part("end", RunRecord).events
        starts = sum(isinstance(event, ExperimentStarted) for event in events)
        ends = sum(isinstance(event, ExperimentFinished) for event in events)
        if starts != 1 or ends != 1:
            breach(f"of one run it told {starts} starts and {ends} ends")
        times_s = [event.elapsed_s for event in events if isinstance(event, PhaseChanged)]
        if times_s != sorted(times_s) or len(times_s) < 3:
            breach(f"the steps came in another order, or not all of them: {times_s}")
        before = self._part("go_on", RunRecord, "L2 start-returns").events
        if not any(isinstance(event, PhaseChanged) for event in before):
            breach("of a run that went on nothing was told before it ended")

    @rule("L4", "events-return", "wait no longer than `timeout_s`, and return when it is over.")
    def test_l4_events_return(self) -> None:
        """`events` returns after `timeout_s` seconds at the latest, also when nothing happens.

        The runner looks at time limits, other runs and Ctrl+C in between.
        """
        waited_s = self._part("go_on", RunRecord, "L2 start-returns").longest_wait_s
        if waited_s > SLICE_S + _SLACK_S:
            breach(f"events({SLICE_S}) returned after {waited_s:.1f} s")

    @rule("L5", "states-forward", "derive `state` from what is known, and never go back.")
    def test_l5_states_forward(self) -> None:
        """A run is queued, then running, then ended, and ended exactly when it has a result.

        Time limits count from the moment at which it is running.
        """
        for name, code in (("end", "L6 success-on-disk"), ("go_on", "L2 start-returns")):
            record = self._part(name, RunRecord, code)
            places = [_ORDER.index(state) for state in record.states]
            if places != sorted(places):
                breach(f"it was {', '.join(record.states)}, in this order")
            if record.results_too_early:
                breach("it was ended and had no result")
            if record.result is not None and record.states[-1] is not RunState.ENDED:
                breach(f"it has a result and is {record.states[-1]}")
            if name == "go_on" and RunState.RUNNING not in record.states:
                breach("its processes were at work, and it was never running")

    @rule("L6", "success-on-disk", "pass the worker's result on as it is.")
    def test_l6_success_on_disk(self) -> None:
        """A run that went well ends with the worker's `LaunchSuccess`, and its file is in the
        study's folder with that size by then.

        The file is read right afterwards; one that is not whole is a failure.
        """
        record = self._part("end", RunRecord)
        if not isinstance(record.result, LaunchSuccess):
            breach(f"a run that should end well ended with {record.result}")
        size_bytes = self._record()["size_bytes"]
        if size_bytes != record.result.size_bytes:
            breach(f"{record.result.result_file} has {size_bytes} bytes; see {record.result}")

    @rule("L7", "failure-told", "pass the worker's result on as it is.")
    def test_l7_failure_told(self) -> None:
        """A run that failed ends with the worker's `LaunchFailure`: type, message and step.

        It is what the manifest and the user are told.
        """
        result = self._part("fail", RunRecord).result
        if not isinstance(result, LaunchFailure):
            breach(f"a run that failed ended with {result}")
        if "as it was told to" not in result.message or result.phase is None:
            breach(f"of its failure is left: {result}")

    @rule("L8", "death-told", "watch the process itself, and say how it ended.")
    def test_l8_death_told(self) -> None:
        """A worker that dies without a word is a `LaunchFailure` that says so.

        Memory runs out, drivers crash; a study that waits for such a run waits for ever.
        """
        result = self._part("die", RunRecord).result
        if not isinstance(result, LaunchFailure):
            breach(f"a worker that died ended with {result}")
        if not result.error_type.strip() or not result.message.strip():
            breach(f"it does not say how the worker ended: {result}")

    @rule("L9", "kill-ends-all", "end the process with all its descendants, and wait for them.")
    def test_l9_kill_ends_all(self) -> None:
        """After `kill` nothing of the run is alive, what it started included, and it has a result.

        What goes on would be measured with the next run, and hold its memory.
        """
        record = self._part("go_on", RunRecord, "L2 start-returns")
        if record.left:
            breach(f"after `kill` these went on: the {' and the '.join(record.left)}")
        if record.result is None:
            breach("it was killed and has no result")

    @rule("L10", "kill-harmless", "return at once where it has ended.")
    def test_l10_kill_harmless(self) -> None:
        """`kill` after the end changes nothing, however often it is called.

        The runner calls it after every run.
        """
        for name, code in (("end", "L6 success-on-disk"), ("go_on", "L2 start-returns")):
            record = self._part(name, RunRecord, code)
            if record.after_kill != record.result:
                breach(f"its result was {record.result}, and then {record.after_kill}")

    @rule("L11", "attach-finds", "keep what `attach` needs, or leave `run_id` empty.")
    def test_l11_attach_finds(self) -> None:
        """Another launcher finds a run by its `run_id`, follows it and can kill it; where it
        cannot find it, it says so with `None`.

        So a study goes on whose own process has died; a run that is started a second time beside
        the first spoils both.
        """
        self._part("go_on", RunRecord, "L2 start-returns")
        found = self._part("attach", Attached)
        if not found.found:
            skip("it finds no run again, and says so")
        if not found.same_id:
            breach("what it found has another `run_id`")
        if found.was_over:
            breach("it called a run ended that went on")
        if found.left or not found.ended:
            breach(
                f"after it was killed there, these went on: {', '.join(found.left) or 'nothing'}"
            )

    @rule("L12", "attach-unknown", "return None for an id that is none of its runs of this task.")
    def test_l12_attach_unknown(self) -> None:
        """`attach` gives `None` for an id that it does not know, and for one of another experiment.

        Ids are used again, and anybody can edit a manifest.
        """
        ended = self._part("end", RunRecord, "L6 success-on-disk")
        with self.surroundings(), installed(), tempfile.TemporaryDirectory() as folder:
            launcher = self.create()
            try:
                other = make_task(Path(folder), "end", 99)
                unknown = dataclasses.replace(ended.task, directory=folder)
                for task, run_id in (
                    (unknown, "no-such-run"),
                    (unknown, ""),
                    (unknown, "../1"),
                    (dataclasses.replace(other, directory=ended.task.directory), ended.run_id),
                ):
                    if launcher.attach(task, run_id) is not None:
                        breach(f"it found a run by {run_id!r} that is none of this task's")
            finally:
                launcher.close()


_PARTS: dict[str, Callable[[Lives, int], object]] = {
    "end": lambda lives, number: lives.ends_by_itself("end", number),
    "fail": lambda lives, number: lives.ends_by_itself("fail", number),
    "die": lambda lives, number: lives.ends_by_itself("die", number),
    "go_on": lambda lives, number: lives.goes_on(number),
    "attach": lambda lives, number: lives.found_again(number) or Attached(found=False),
}


def _attempt(make: Callable[[Lives, int], object], lives: Lives, number: int) -> object:
    try:
        return make(lives, number)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a rule tells of it
        return error


def _quietly(close: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):  # what is left is told by P10 and P11
        close()
