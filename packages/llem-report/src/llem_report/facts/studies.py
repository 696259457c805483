"""Facts on a study as a whole: how it was run, what has no result, what makes it doubtful."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from llem_core.results.views.study import agreement, gaps, in_order
from llem_core.units import format_duration, format_si

from llem_report.facts.parts import Collector, Section, Table
from llem_report.sources.material import Source

_MOST_LISTED = 50


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Facts on a study, or on experiments of none.

    Attributes:
        kind: which of them it is.
        name: of the study, or of the experiment's folder.
        folder: where it lies.
        status: where the study stands.
        overview: how it was run.
        unfinished: runs without a result; empty where there is none.
        warnings: what may be wrong with it as a whole.
    """

    kind: str
    name: str
    folder: str
    status: str
    overview: Section
    unfinished: Section
    warnings: Section


def source_facts(source: Source, number: int | None) -> SourceFacts:
    """Everything to be said of a study but its figures.

    Args:
        source: the study, or experiments of none.
        number: which of several sources it is, from 1.
    """
    return SourceFacts(
        kind=source.kind,
        name=source.name if number is None else f"{number}: {source.name}",
        folder=str(source.folder),
        status=source.status,
        overview=_overview(source),
        unfinished=_unfinished(source),
        warnings=Section("Warnings of the study", items=source.warnings),
    )


def _overview(source: Source) -> Section:
    section = Collector("How it was run" if source.kind == "study" else "What there is")
    section.add("folder", str(source.folder))
    statuses = Counter(each.status for each in source.unfinished)
    more = "".join(f", {n} {status}" for status, n in sorted(statuses.items()))
    n_runs = len(source.runs) + len(source.unfinished)
    section.add("runs", f"{len(source.runs)} of {n_runs} with a result{more}", "n_runs", n_runs)
    section.add("configurations", f"{len(source.configurations)}")
    if source.kind != "study":
        return section.section()
    section.add("state", source.status, "status", source.status)
    section.add("design", source.design_hash, "study_design_hash", source.design_hash)
    protocol = source.protocol
    if protocol is not None:
        order = in_order(protocol.cycle_order)
        section.add("cycles", f"{protocol.n_cycles}, {order}", "n_cycles")
        section.add("pauses", gaps(protocol.config_gap_seconds, protocol.cycle_gap_seconds))
        section.add("isolation", protocol.process_isolation, "process_isolation")
        section.add("intervals", protocol.interval, "interval")
        section.add("comparison", protocol.comparison, "comparison")
    result = source.result
    if result is not None:
        summary = result.summary
        section.add("started", result.started_at, "started_at")
        section.add("ended", result.finished_at, "finished_at")
        windows = format_duration(summary.duration_measured_s)
        section.add("measured windows", windows, "duration_measured_s", summary.duration_measured_s)
        if summary.energy_total_j is not None:
            word = " (estimated)" if summary.energy_estimated else ""
            text = f"{format_si(summary.energy_total_j, 'J')}{word}"
            section.add("energy in them", text, "energy_total_j", summary.energy_total_j)
        section.items += [f"Outputs of {agreement(one)}." for one in result.output_agreement]
        section.items += result.merged
    return section.section()


def _unfinished(source: Source) -> Section:
    rows = [
        (each.label, str(each.cycle), each.status, each.error or "")
        for each in source.unfinished[:_MOST_LISTED]
    ]
    tables = []
    if rows:
        more = len(source.unfinished) - len(rows)
        rest = f"; {more} more are not listed" if more > 0 else ""
        columns = ("configuration", "cycle", "state", "why")
        tables.append(Table(f"Runs without a result{rest}", columns, tuple(rows)))
    skipped = source.result.skipped if source.result else []
    if skipped:
        shown = [(one.label, one.reason) for one in skipped[:_MOST_LISTED]]
        more = len(skipped) - len(shown)
        rest = f"; {more} more are not listed" if more > 0 else ""
        caption = f"Combinations that are no valid experiments{rest}"
        tables.append(Table(caption, ("configuration", "why"), tuple(shown)))
    return Section("Without a result", tables=tuple(tables))
