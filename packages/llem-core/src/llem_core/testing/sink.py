"""A sink that keeps what it receives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llem_core.contracts import ResultSink, Section, SinkSpec

if TYPE_CHECKING:
    from llem_core.results.finished import FinishedExperiment, FinishedStudy


class MemorySink(ResultSink):
    """Keeps every finished experiment in ``received`` and study in ``studies``; writes nothing.

    Args:
        section: none.
        error: raised instead, if given.

    Example::

        sink = MemorySink()
        finished = finished_experiment(model="my/model")
        sink.write_experiment(finished, folder)
        assert sink.received[0].result.model == "my/model"
    """

    def __init__(self, section: Section | None = None, error: Exception | None = None) -> None:
        super().__init__(section)
        self.received: list[FinishedExperiment] = []
        self.studies: list[FinishedStudy] = []
        self._error = error

    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> Sequence[Path]:
        """Keep it."""
        del directory
        if self._error is not None:
            raise self._error
        self.received.append(finished)
        return ()

    def write_study(self, finished: FinishedStudy, directory: Path) -> Sequence[Path]:
        """Keep it."""
        del directory
        if self._error is not None:
            raise self._error
        self.studies.append(finished)
        return ()


def memory_sink(sink: MemorySink, name: str = "memory") -> SinkSpec:
    """The spec of a given ``MemorySink``, which receives every result.

    Example::

        assert memory_sink(MemorySink()).always_on
    """
    return SinkSpec(name, "Keeps results in memory.", lambda _: sink, always_on=True)
