"""Sections of the report, as a Markdown table and as raw data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Verdict(StrEnum):
    """What became of a check."""

    HOLDS = "holds"
    FAILS = "DOES NOT HOLD"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Section:
    """One check.

    Attributes:
        title: what was looked at.
        expected: what should be seen, in a sentence.
        verdict: whether it was.
        header, rows: a table; each row as long as the header.
        remark: what else there is to say, such as why it was not run.
        raw: figures behind the table.
    """

    title: str
    expected: str
    verdict: Verdict
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    remark: str = ""
    raw: dict[str, Any] = field(default_factory=dict)


def as_markdown(heading: str, facts: Mapping[str, str], sections: Sequence[Section]) -> str:
    """The whole report.

    Args:
        heading: its first line.
        facts: where it was run, by name.
        sections: the checks, in order.
    """
    lines = [f"## {heading}", "", *table(("", ""), [(name, v) for name, v in facts.items()]), ""]
    lines += table(("check", "verdict"), [(s.title, s.verdict.value) for s in sections])
    for section in sections:
        lines += ["", f"### {section.title}: {section.verdict}", "", section.expected]
        if section.rows:
            lines += ["", *table(section.header, section.rows)]
        if section.remark:
            lines += ["", section.remark]
    return "\n".join(lines) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    ruled = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in ruled]


def write_raw(path: Path, facts: Mapping[str, str], sections: Sequence[Section]) -> None:
    """Write every figure behind the report as JSON."""
    content = {"facts": dict(facts), "sections": [asdict(section) for section in sections]}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
