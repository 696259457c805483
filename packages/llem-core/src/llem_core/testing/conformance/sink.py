"""The conformance kit of sinks."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from llem_core.contracts import ResultSink, Section, SinkSpec
from llem_core.testing.conformance.rules import breach, rule, skip
from llem_core.testing.conformance.section import SectionRules
from llem_core.testing.conformance.watch import Watched, watch
from llem_core.testing.sink import finished_experiment as _measure_one
from llem_core.testing.sink import finished_study

if TYPE_CHECKING:
    from llem_core.contracts.sink import FinishedExperiment

finished_experiment = functools.cache(_measure_one)

_FOREIGN = {"another-sink.bin": b"\x00another sink's file", "kept/notes.txt": b"a person's notes"}


@dataclass
class Delivery:
    """What a sink was given, and did.

    Attributes:
        directory: its folder.
        returned: what the sink returned.
        before, after: every file under the root, with its inode and its content.
    """

    directory: Path
    returned: Any
    before: dict[Path, tuple[int, bytes]] = field(default_factory=dict)
    after: dict[Path, tuple[int, bytes]] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """The paths that were returned, as far as they can be read as such."""
        given = self.returned if isinstance(self.returned, Sequence) else ()
        return [Path(path) for path in given if isinstance(path, Path | str)]


class SinkContract(SectionRules[SinkSpec]):
    """Checks a sink against its contract, with or without pytest.

    Override ``section_in`` for a sink that writes to a place of its own, to have that place in
    the folder of the test.

    Example::

        class TestMemory(SinkContract):
            spec = memory_sink(MemorySink())
    """

    _kind = SinkSpec
    _hook = "llem_sinks"
    _offers = "sinks"
    _watched: ClassVar[Watched]

    def section_in(self, folder: Path) -> Mapping[str, Any]:
        """Keys of the sink's section; ``folder`` is where it may put files of its own."""
        del folder
        return self.section

    def watched(self) -> Watched:
        """What making a sink and writing two experiments did to the process."""
        own = type(self)
        if "_watched" not in vars(own):
            experiments = [finished_experiment(), finished_experiment(energy=False)]
            # Whether it works at all, R1 tells.
            quietly = contextlib.suppress(Exception, SystemExit)
            with watch() as own._watched, quietly, self.sandbox() as (root, sink):
                for number, finished in enumerate(experiments):
                    _write(sink, finished, root, f"experiment-{number}")
        return own._watched

    @contextlib.contextmanager
    def sandbox(self) -> Iterator[tuple[Path, ResultSink]]:
        """A folder of its own, and a new sink that may use it."""
        with self.surroundings(), tempfile.TemporaryDirectory() as name:
            root = Path(name).resolve()
            kind = self.the_spec().section
            made: Section | None = None
            if kind is not None:
                made = kind.model_validate(dict(self.section_in(root)))
            yield root, self.the_spec().create(made)

    def deliver(self, *experiments: FinishedExperiment, again: bool = False) -> list[Delivery]:
        """Hand experiments to one sink, each in a folder of its own or all in one folder."""
        with self.sandbox() as (root, sink):
            return [
                _write(sink, finished, root, "experiment-0" if again else f"experiment-{number}")
                for number, finished in enumerate(experiments)
            ]

    def _delivered(self, *experiments: FinishedExperiment, again: bool = False) -> list[Delivery]:
        """The same for rules that judge something else than whether it works at all."""
        try:
            return self.deliver(*experiments, again=again)
        except Exception as error:  # noqa: BLE001 - R1 and its neighbours judge it
            skip(f"it raises: {error}; mend that first")

    @rule("R1", "files-returned", "return the paths of the files written, as pathlib.Path.")
    def test_r1_files_returned(self) -> None:
        """`write_experiment` returns a list of the paths that it wrote, and they exist.

        The summary shows them; other programs read them from there.
        """
        (delivery,) = self.deliver(finished_experiment())
        _judge_returned(delivery.returned, delivery.after)

    @rule("R2", "files-declared", "return every file, and clean up what is temporary.")
    def test_r2_files_declared(self) -> None:
        """No file appears that was not returned: neither left over nor beside the folder.

        What nobody knows of is never deleted, and read by mistake.
        """
        for delivery in self._delivered(finished_experiment(), finished_experiment()):
            _judge_left(delivery)

    @rule("R3", "files-whole", "write with llem_core.contracts.write_atomically.")
    def test_r3_files_whole(self) -> None:
        """A file in the experiment's folder appears whole or not at all.

        A crash in the middle leaves the old file then, never half of the new one. Seen by what
        happens to a file that exists: one written in place is still the same file afterwards.
        """
        finished = finished_experiment()
        first, second = self._delivered(finished, finished, again=True)
        for path in {p.resolve() for p in first.files} & {p.resolve() for p in second.files}:
            inside = path.is_relative_to(second.directory)
            if inside and first.after[path][0] == second.after[path][0]:
                breach(f"{path.name} is written in place")

    @rule("R4", "others-untouched", "write files of your own name only, and delete none.")
    def test_r4_others_untouched(self) -> None:
        """Files of others, and those of earlier experiments, are as they were.

        Results are never overwritten, and a person's notes least of all.
        """
        deliveries = self._delivered(finished_experiment(), finished_experiment())
        earlier: set[Path] = set()
        for delivery in deliveries:
            for path, (_, content) in delivery.before.items():
                foreign = path.name in {Path(name).name for name in _FOREIGN}
                kept = delivery.after.get(path, (0, b""))[1] == content
                if (foreign or path in earlier) and not kept:
                    breach(f"{path.name} was changed or deleted")
            inside = {path.resolve() for path in delivery.files}
            earlier |= {p for p in inside if p.is_relative_to(delivery.directory)}

    @rule("R5", "no-energy", "write null where a figure is None; never 0, and never skip the row.")
    def test_r5_no_energy(self) -> None:
        """A result without energy is written like any other.

        Most machines have no meter; every figure in `unavailable` may be `None`.
        """
        self.deliver(finished_experiment(energy=False))

    @rule("R6", "any-text", "write UTF-8, and leave quoting to a library.")
    def test_r6_any_text(self) -> None:
        """Names with quotes, commas, line breaks and letters of any script are written.

        A model's name is what its author chose.
        """
        self.deliver(finished_experiment(model='x/"modèle", 模型\n\t— α'))

    @rule("R7", "failure-told", "let the OSError pass, and return only files that exist.")
    def test_r7_failure_told(self) -> None:
        """A sink that cannot write raises, and does not return files that are not there.

        The core turns it into a warning of the result; silence would be a lost result.
        """
        with self.sandbox() as (root, sink):
            try:
                returned = sink.write_experiment(finished_experiment(), root / "gone")
            except Exception:  # noqa: BLE001 - any will do, but SystemExit
                return
            missing = [str(path) for path in returned if not Path(path).exists()]
            if missing:
                breach(f"it returned {', '.join(missing)}, which could not be written")

    @rule("R8", "result-untouched", "work on a copy.")
    def test_r8_result_untouched(self) -> None:
        """The finished experiment is the same afterwards.

        Other sinks receive it next.
        """
        finished = _measure_one()  # not the one that other rules use: it may be changed
        before = (finished.result.model_dump(), finished.timeseries, finished.processes)
        self._delivered(finished)
        if before != (finished.result.model_dump(), finished.timeseries, finished.processes):
            breach("the result was changed")

    @rule("R9", "write-again", "replace or extend what is there from the first time.")
    def test_r9_write_again(self) -> None:
        """The same experiment may be delivered again into the same folder.

        So it is when a study that was killed at that very moment is resumed.
        """
        finished = finished_experiment()
        self.deliver(finished, finished, again=True)

    @rule("R10", "study-delivered", "treat runs without a result, and return what was written.")
    def test_r10_study_delivered(self) -> None:
        """`write_study` takes a study of which a run failed, and returns the paths that it wrote,
        which exist, and no others appear.

        A sink without it writes nothing of a study, which is fine.
        """
        with self.sandbox() as (root, sink):
            directory = root / "study"
            study = finished_study(directory)
            before = _files(root)
            returned = sink.write_study(study, directory)
            after = _files(root)
        _judge_returned(returned, after)
        _judge_left(Delivery(directory, returned, before, after))


def _judge_returned(returned: Any, after: Mapping[Path, object]) -> None:
    if not isinstance(returned, Sequence) or isinstance(returned, str):
        breach(f"it returned {type(returned).__name__}")
    for path in returned:
        if not isinstance(path, Path):
            breach(f"it returned {path!r}, which is no Path")
        if path.resolve() not in after:
            breach(f"there is no file {path.name}")


def _judge_left(delivery: Delivery) -> None:
    declared = {path.resolve() for path in delivery.files}
    found = [p for p in delivery.after if p not in delivery.before and p not in declared]
    if found:
        breach(f"it left {', '.join(sorted(path.name for path in found))}")


def _write(sink: ResultSink, finished: FinishedExperiment, root: Path, folder: str) -> Delivery:
    directory = root / folder
    for name, content in _FOREIGN.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    before = _files(root)
    returned = sink.write_experiment(finished, directory)
    return Delivery(directory, returned, before, _files(root))


def _files(root: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        path: (path.stat().st_ino, path.read_bytes()) for path in root.rglob("*") if path.is_file()
    }
