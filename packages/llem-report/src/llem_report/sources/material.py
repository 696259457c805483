"""What a report is made of: sources, their runs, and what is wrong with either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from llem_core.results.study import (
    ConfigurationSummary,
    MeasurementProtocol,
    NodeEffect,
    StudyResult,
)

from llem_report.sources.run import Run, Settings


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A planned run without a result."""

    label: str
    cycle: int
    status: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """A study, or experiments that belong to none.

    Attributes:
        kind: what it is.
        name: of the study, or of the experiment's folder.
        folder: where it lies; of several experiments the first one's.
        status: where the study stands; ``completed`` for experiments.
        runs: those with a result, in the order in which they ran.
        unfinished: planned runs without a result.
        configurations: statistics over cycles.
        settings: of each configuration, by its hash.
        nodes: what nodes do to the energy.
        protocol: how the study was run; ``None`` where nothing tells.
        result: ``study_result.json`` itself, where it is there and belongs to these runs.
        design_hash: names the study's set of configurations.
        warnings: the study's own.
        remarks: what is wrong with the files, for the reader to know first.
    """

    kind: Literal["experiment", "experiments", "study"]
    name: str
    folder: Path
    status: str
    runs: tuple[Run, ...]
    unfinished: tuple[Unfinished, ...] = ()
    configurations: tuple[ConfigurationSummary, ...] = ()
    settings: Mapping[str, Settings] = field(default_factory=dict)
    nodes: tuple[NodeEffect, ...] = ()
    protocol: MeasurementProtocol | None = None
    result: StudyResult | None = None
    design_hash: str | None = None
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def runs_of(self, config_hash: str) -> list[Run]:
        """The runs of one configuration."""
        return [run for run in self.runs if run.config_hash == config_hash]


@dataclass(frozen=True, slots=True)
class Material:
    """All that one report is about."""

    sources: tuple[Source, ...]
    remarks: tuple[str, ...] = ()

    @property
    def runs(self) -> Iterator[Run]:
        """All runs of all sources."""
        return (run for source in self.sources for run in source.runs)
