"""All that one report says. HTML, Markdown and JSON are made of this, and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.config.user import ElectricityConfig
from llem_core.results.migrate import SCHEMA_VERSION
from llem_core.text import now

from llem_report.facts.caveats import said_first
from llem_report.facts.electricity import Derived, derive
from llem_report.facts.entries import Entry
from llem_report.facts.methods import bibtex, methods
from llem_report.facts.parts import listed
from llem_report.facts.run import RunFacts, run_facts
from llem_report.facts.studies import SourceFacts, source_facts
from llem_report.sources.detail import Detail
from llem_report.sources.material import Material

REPORT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Document:
    """The facts of a report.

    Attributes:
        title: what it is about.
        made_at: when it was made (ISO 8601, UTC).
        said_first: what a reader has to know before looking at any figure.
        sources: each study, or the experiments, with its runs and its own statements.
        entries: all configurations, the least energy per output token first.
        details: facts on a few runs.
        detailed: which runs those are, in a sentence.
        derived: emissions and costs; ``None`` where the user states nothing to derive them from.
        methods: a paragraph for a paper, by source.
        bibtex: an entry of the tool.
    """

    title: str
    made_at: str
    said_first: Sequence[str]
    sources: Sequence[SourceFacts]
    entries: Sequence[Entry]
    details: Sequence[RunFacts]
    detailed: str
    derived: Derived | None
    methods: Sequence[str]
    bibtex: str
    report_version: int = REPORT_VERSION
    schema_version: int = SCHEMA_VERSION


def document(
    material: Material,
    entries: Sequence[Entry],
    details: Sequence[Detail],
    electricity: ElectricityConfig | None,
) -> Document:
    """Put together all that is said of these results."""
    return Document(
        title=_title(material),
        made_at=now(),
        said_first=said_first(material),
        sources=[
            source_facts(source, number if len(material.sources) > 1 else None)
            for number, source in enumerate(material.sources, start=1)
        ],
        entries=entries,
        details=[run_facts(detail) for detail in details],
        detailed=_detailed(entries, details),
        derived=derive(entries, electricity),
        methods=[text for source in material.sources if (text := methods(source))],
        bibtex=bibtex(run.tool_version for run in material.runs),
    )


def _title(material: Material) -> str:
    sources = material.sources
    if len(sources) > 1:
        return f"{len(sources)} sources: {listed(source.name for source in sources)}"
    (source,) = sources
    if source.kind == "study":
        return f"Study {source.name}"
    models = listed(run.model for run in source.runs)
    return f"Experiment with {models}" if source.kind == "experiment" else f"Experiments: {models}"


def _detailed(entries: Sequence[Entry], details: Sequence[Detail]) -> str:
    """Which runs are shown in detail."""
    n_runs = sum(len(entry.runs) for entry in entries)
    if n_runs <= 1:
        return ""
    if len(details) == n_runs:
        return f"All {n_runs} runs are shown in detail."
    if len(details) == sum(bool(entry.runs) for entry in entries):
        return (
            f"One run of each configuration is shown in detail, its first one: {len(details)} of "
            f"{n_runs}."
        )
    return (
        f"{len(details)} of {n_runs} runs are shown in detail: the first run of {len(details)} "
        f"configurations, from the first to the last of the ranking at equal distances."
    )
