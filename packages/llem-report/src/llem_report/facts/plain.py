"""The facts as JSON values."""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass
from typing import Any

from llem_report.facts.document import Document
from llem_report.facts.entries import Entry
from llem_report.facts.parts import clean
from llem_report.sources.material import Source
from llem_report.sources.run import Run


def plain(found: Document, sources: tuple[Source, ...]) -> dict[str, Any]:
    """The document as JSON values, with a row for every run.

    Args:
        found: the document.
        sources: what it was made of, for the rows.
    """
    made = {
        each.name: getattr(found, each.name)
        for each in fields(found)
        if each.name not in {"entries", "sources", "details", "derived"}
    }
    content = {
        "report_version": made.pop("report_version"),
        **made,
        "sources": [asdict(source) for source in found.sources],
        "configurations": [_configuration(entry) for entry in found.entries],
        "runs": [_run(source.name, run) for source in sources for run in source.runs],
        "details": [asdict(each) for each in found.details],
        "derived": asdict(found.derived) if is_dataclass(found.derived) else None,
    }
    cleaned: dict[str, Any] = clean(content)
    return cleaned


def _configuration(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "source": entry.source.name,
        **entry.summary.model_dump(),
        "settings": dict(entry.settings),
    }


def _run(source: str, run: Run) -> dict[str, Any]:
    return {
        "source": source,
        **{
            each.name: getattr(run, each.name)
            for each in fields(run)
            if each.name not in {"figures", "latencies", "folder"}
        },
        "folder": str(run.folder),
        **asdict(run.figures),
        "latencies": {name: value.model_dump() for name, value in run.latencies.items()},
    }
