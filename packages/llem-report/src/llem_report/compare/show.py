"""A comparison as blocks for the terminal, as Markdown for a job's summary, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from html import escape

from llem_core.results.views.block import Block, Column, Table
from llem_core.text import displayable, without_password
from llem_core.units import format_si

from llem_report.compare.compare import Comparison, Row


def as_json(comparison: Comparison) -> str:
    """All of it, with ``failed``."""
    content = {**asdict(comparison), "failed": comparison.failed}
    return json.dumps(content, indent=2, ensure_ascii=False)


def as_blocks(comparison: Comparison) -> list[Block]:
    """Blocks of a summary; the verdict is the last one."""
    sides = Block("Comparison")
    sides.add("A (reference)", comparison.before)
    sides.add("B", comparison.after)
    by_metric: dict[str, list[Row]] = {}
    for row in comparison.rows:
        by_metric.setdefault(row.metric, []).append(row)
    return [
        sides,
        Block("Not alike", items=list(comparison.objections)),
        *(_table(comparison, rows) for rows in by_metric.values()),
        Block("Only in A", items=list(comparison.only_before)),
        Block("Only in B", items=list(comparison.only_after)),
        Block("Remarks", items=list(comparison.remarks)),
        Block("Verdict", sentence(comparison)),
    ]


def _table(comparison: Comparison, rows: list[Row]) -> Block:
    first = rows[0]
    columns = [
        Column("A", [_value(row.before, row) for row in rows]),
        Column("B", [_value(row.after, row) for row in rows]),
        Column("B against A", [_percent(row.difference_percent) for row in rows]),
        Column(f"{100 * comparison.confidence:.4g} % interval", [_interval(row) for row in rows]),
        Column("verdict", [_verdict(row) for row in rows]),
    ]
    reasons = dict.fromkeys(f"No interval: {row.reason}." for row in rows if row.reason)
    methods = dict.fromkeys(_METHODS[row.method] for row in rows if row.method)
    return Block(
        "Difference",
        f"{first.metric}, {first.better} is better",
        table=Table(columns, "configuration", [row.label for row in rows]),
        items=[*methods, *reasons],
    )


_METHODS = {
    "paired": "Intervals by the paired t-test of logarithms over cycles of the same number.",
    "paired by node": "Intervals by the paired t-test of logarithms over runs on the same node; "
    "they hold for these nodes.",
    "Welch": "Intervals by Welch's t-test of logarithms over runs.",
    "one against several": "Intervals by the scatter of the side with several runs.",
    "meter": "Intervals by the meter's comparison uncertainty.",
}


def sentence(comparison: Comparison) -> str:
    """What it comes to, in a sentence or two."""
    rows = comparison.rows
    beyond = [row for row in rows if row.beyond_limit]
    limit, sure = f"{comparison.limit_percent:.4g} %", f"{100 * comparison.confidence:.4g} %"
    if beyond:
        named = "; ".join(f"{row.label}: {_percent(row.difference_percent)}" for row in beyond)
        head = f"worse by more than {limit} ({sure} confidence): {named}."
    else:
        told = [f"{n} {word}" for word, n in _counts(rows)]
        head = f"{', '.join(told)}; no loss beyond {limit} is shown."
    several = len(rows) > 1
    tail = (
        f" Each kind of verdict holds for all {len(rows)} together with {sure} confidence (Holm); "
        "intervals are each row's own."
        if several
        else ""
    )
    return head + tail


def _counts(rows: tuple[Row, ...]) -> Iterator[tuple[str, int]]:
    for word in ("worse", "cannot be told apart", "equivalent", "better"):
        if n := sum(row.verdict == word for row in rows):
            yield word, n


def as_markdown(comparison: Comparison) -> str:
    """A section of GitHub's job summary; nothing in it from a result is markup."""
    mark = "❌" if comparison.failed else "✅" if comparison.gate else "ℹ️"  # noqa: RUF001
    lines = [
        f"### {mark} llem compare",
        "",
        f"{_md(comparison.before)} → {_md(comparison.after)}",
        "",
        f"**{_md(sentence(comparison))}**",
        "",
    ]
    if comparison.objections:
        lines += ["> [!WARNING]", f"> Not alike: {_md('; '.join(comparison.objections))}", ""]
    lines += [
        f"| configuration | metric | A | B | B against A | {100 * comparison.confidence:.4g} % "
        "interval | verdict |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for row in comparison.rows:
        cells = (
            *(row.label, row.metric, _value(row.before, row), _value(row.after, row)),
            *(_percent(row.difference_percent), _interval(row), _verdict(row)),
        )
        lines.append(f"| {' | '.join(_md(cell) for cell in cells)} |")
    notes = [
        *(f"only in A: {label}" for label in comparison.only_before),
        *(f"only in B: {label}" for label in comparison.only_after),
        *comparison.remarks,
        *dict.fromkeys(f"no interval: {row.reason}" for row in comparison.rows if row.reason),
    ]
    if notes:
        lines += ["", *(f"- {_md(note)}" for note in notes)]
    return "\n".join(lines) + "\n"


def _value(value: float | None, row: Row) -> str:
    if value is None:
        return "none"
    return f"{value:.4g} /s" if row.unit == "1/s" else format_si(value, row.unit, digits=4)


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:+.2f} %"


def _interval(row: Row) -> str:
    if row.interval_low_percent is None or row.interval_high_percent is None:
        return "none"
    return f"{row.interval_low_percent:+.2f} to {row.interval_high_percent:+.2f} %"


def _verdict(row: Row) -> str:
    return f"{row.verdict}, beyond the limit" if row.beyond_limit else row.verdict


_MARKUP = str.maketrans({character: f"\\{character}" for character in "\\`*_[]|#!~>@$"})


def _md(text: str) -> str:
    """Text that Markdown shows as it is."""
    plain = displayable(" ".join(without_password(text).split()))
    return escape(plain, quote=False).translate(_MARKUP)
