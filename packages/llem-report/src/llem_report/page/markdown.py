"""The facts as Markdown, for a job's summary, a pull request or a note; without the plots."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from llem_report.facts.document import Document
from llem_report.facts.electricity import Derived
from llem_report.facts.parts import Section, Table, clean
from llem_report.facts.tables import at_a_glance, configurations
from llem_report.page.html import derived_table

_MOST_ROWS = 150
_ACTS = re.compile(
    r"([\\`*_{}\[\]#|!~$^])|^([-+=:]|\d+[.)])|(?<=\w)(:)(?=//)|(?<=www)(\.)", re.IGNORECASE
)
"""What Markdown, with the additions of forges, takes for more than text."""
_MENTION = re.compile(r"@(?=\w)")


def markdown(found: Document) -> str:
    """The whole text; nothing from a result acts in it."""
    return "\n".join(_lines(found)).rstrip() + "\n"


def escaped(text: str) -> str:
    """One line of a result's text, as it is; no mark-up, no HTML, no link and no mention."""
    line = " ".join(str(clean(text)).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _ACTS.sub(lambda match: f"\\{match.group()}", line)
    return _MENTION.sub("@<!-- -->", line)


def _lines(found: Document) -> Iterator[str]:
    yield from (f"# {escaped(found.title)}", "", f"Made {escaped(found.made_at)}.", "")
    if found.said_first:
        yield from ("## To know first", "", *_items(found.said_first), "")
    yield from _section(at_a_glance(found.entries), 2)
    if found.entries:
        yield from ("## Configurations", "", *_table(configurations(found.entries)), "")
    if found.derived:
        yield from _derived(found.derived)
    for source in found.sources:
        yield from (f"## {escaped(source.name)}", "")
        for part in (source.overview, source.unfinished, source.warnings):
            yield from _section(part, 3)
    if found.details:
        yield from ("## Runs in detail", "", escaped(found.detailed), "")
    for run in found.details:
        cycle = "" if run.cycle is None else f", cycle {run.cycle}"
        yield from (f"### {escaped(run.name)}{cycle}", "", escaped(run.folder), "")
        for part in run.sections:
            yield from _section(part, 4)
    yield from ("## To cite", "")
    for paragraph in found.methods:
        yield from (f"> {escaped(paragraph)}", "")
    yield from ("```bibtex", *_fenced(found.bibtex), "```")


def _fenced(text: str) -> Iterator[str]:
    """Lines within a fence, which none of them can end."""
    return (str(clean(line)).replace("`", "'") for line in text.splitlines())


def _derived(derived: Derived) -> Iterator[str]:
    yield from ("## Emissions and cost (derived)", "")
    for sentence in derived.inputs:
        yield from (escaped(sentence), "")
    yield from (*_table(derived_table(derived)), "")


def _section(section: Section, level: int) -> Iterator[str]:
    if not section:
        return
    yield from ("#" * level + f" {escaped(section.title)}", "")
    if section.rows:
        rows = tuple((row.label, row.text) for row in section.rows)
        yield from (*_table(Table("", ("what", "value"), rows)), "")
    if section.items:
        yield from (*_items(section.items), "")
    for table in section.tables:
        yield from (*_table(table), "")


def _items(sentences: Iterable[str]) -> Iterator[str]:
    return (f"- {escaped(sentence)}" for sentence in sentences)


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        more = len(table.rows) - _MOST_ROWS
        rest = f"; {more:,} more rows are left out" if more > 0 else ""
        yield from (escaped(f"{table.caption}{rest}."), "")
    yield _row(table.columns)
    yield _row(["---"] * len(table.columns), as_is=True)
    for row in table.rows[:_MOST_ROWS]:
        yield _row(row)


def _row(cells: Iterable[str], *, as_is: bool = False) -> str:
    return "| " + " | ".join(cell if as_is else escaped(cell) for cell in cells) + " |"
