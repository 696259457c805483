"""The contract of a result sink, and the finished experiments and studies that it receives."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llem_core.contracts.config import Section
from llem_core.contracts.sampler import PowerSample

if TYPE_CHECKING:
    from llem_core.events import RunStatus
    from llem_core.results.experiment import ExperimentResult
    from llem_core.results.process import ProcessResult
    from llem_core.results.study import StudyResult


@dataclass(frozen=True, slots=True)
class TimeseriesRow:
    """A sample and the phase of the experiment that it fell into."""

    phase: str
    sample: PowerSample


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """A stretch of a load, a second or what is left of one.

    Attributes:
        time_s: its start (monotonic s).
        duration_s: its length (s).
        requests_in_flight: mean of the requests in flight.
        requests_waiting: mean of those that were due and not sent.
        output_tokens: output tokens that arrived in it.
    """

    time_s: float
    duration_s: float
    requests_in_flight: float
    requests_waiting: float
    output_tokens: int


@dataclass(frozen=True, slots=True)
class LoadRow:
    """A point of the load and the phase of the experiment that its middle fell into."""

    phase: str
    point: LoadPoint


@dataclass(frozen=True, slots=True)
class FinishedExperiment:
    """A finished experiment with its raw data.

    Attributes:
        result: the result.
        timeseries: power samples of the whole experiment, oldest first.
        processes: raw results of its processes.
        started_s: monotonic time of its start, which the time series counts from.
        load: the load by the second; empty where batches were run.
        engine_log: what the engine's own processes printed; empty where there was nothing.
    """

    result: ExperimentResult
    timeseries: tuple[TimeseriesRow, ...]
    processes: tuple[ProcessResult, ...]
    started_s: float
    load: tuple[LoadRow, ...] = ()
    engine_log: str = ""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One run of a finished study.

    Attributes:
        position: its place in the study's order, from 1.
        config_hash: ``measurement_config_hash`` of its configuration.
        cycle: which repetition, from 1.
        label: what tells its configuration from the others.
        status: how it ended.
        result_file: its ``result.json``; ``None`` where it has none.
        error: why it has none.
        node: the node that it was on, where the launcher has several.
    """

    position: int
    config_hash: str
    cycle: int
    label: str
    status: RunStatus
    result_file: Path | None
    error: str | None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class FinishedStudy:
    """A finished study.

    Attributes:
        result: the result.
        runs: its runs in execution order.
    """

    result: StudyResult
    runs: Sequence[FinishedRun]

    @property
    def result_files(self) -> list[Path]:
        """``result.json`` of each completed run, in execution order.

        Load one with ``ExperimentResult.model_validate_json``; a study may have more of them
        than fit into memory together.
        """
        return [run.result_file for run in self.runs if run.result_file is not None]


class ResultSink(ABC):  # noqa: B024 - a sink may care for experiments, for studies or for both
    """Receives finished experiments.

    A sink writes into the folder that it is given, or anywhere else it pleases. A file must
    appear whole or not at all: ``llem_core.contracts.write_atomically`` does that. A sink that
    raises is reported in the run's warnings and harms no other sink.

    A whole plugin::

        from llem_core.contracts import ResultSink, SinkSpec, hookimpl, write_atomically

        LLEM_CONTRACT = 2

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
