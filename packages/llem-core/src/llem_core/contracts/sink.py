"""The contract of a result sink: whatever receives finished results."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llem_core.contracts.section import Section

if TYPE_CHECKING:
    from llem_core.results.finished import FinishedExperiment, FinishedStudy


class ResultSink(ABC):  # noqa: B024 - a sink may care for experiments, for studies or for both
    """Receives finished experiments.

    A sink writes into the folder that it is given, or anywhere else it pleases. A file must
    appear whole or not at all: ``llem_core.contracts.write_atomically`` does that. A sink that
    raises is reported in the run's warnings and harms no other sink.

    A whole plugin::

        from llem_core.contracts import ResultSink, SinkSpec, hookimpl, write_atomically

        LLEM_CONTRACT = 1

        class OneLine(ResultSink):
            def write_experiment(self, finished, directory):
                line = f"{finished.result.energy_per_output_token_j} J per token\\n"
                return [write_atomically(directory / "line.txt", line.encode())]

        @hookimpl
        def llem_sinks():
            return [SinkSpec(
                name="line", summary="One line of text.", create=OneLine, always_on=True,
            )]
    """

    def __init__(self, section: Section | None) -> None:
        self.section = section

    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> Sequence[Path]:
        """Receive one finished experiment.

        Args:
            finished: the result, its power samples and the raw requests of its processes.
            directory: the experiment's own folder.

        Returns:
            The files written, for the summary.
        """
        del finished, directory
        return ()

    def write_study(self, finished: FinishedStudy, directory: Path) -> Sequence[Path]:
        """Receive one finished study, after all of its experiments.

        Called in the study's own process, which never measures.

        Args:
            finished: the study's result and where the results of its experiments lie.
            directory: the study's folder.

        Returns:
            The files written, for the summary.
        """
        del finished, directory
        return ()


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """How a sink makes itself known; returned by the hook ``llem_sinks``.

    Attributes:
        name: name of the sink and of its section: lower case, no dots.
        summary: one line on what it writes.
        create: makes the sink from its section (``None`` if it has none).
        section: class of its configuration, if it has any.
        always_on: whether it receives every result; otherwise only where the experiment file
            has its section.
        every_study: whether it receives every study even where it is not always on.
    """

    name: str
    summary: str
    create: Callable[[Section | None], ResultSink]
    section: type[Section] | None = None
    always_on: bool = False
    every_study: bool = False
