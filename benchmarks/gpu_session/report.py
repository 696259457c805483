"""Turns a session's archive into Markdown, and puts it into docs/validation.md.

    python3 benchmarks/gpu_session/report.py session.tar.gz [--write docs/validation.md]

It prints the report, or puts it between the page's two marks in place of what stands there. A
rehearsal's report says so in its heading, and is put into a page with ``--rehearsal`` alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from validation.report import table

from gpu_session.log import read_archive
from gpu_session.sections import PARTS

BEGIN, END = "<!-- session: begin -->", "<!-- session: end -->"
REHEARSED = "REHEARSAL over a SIMULATED device: nothing here was measured"


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    records, left_out = read_archive(options.archive)
    if options.write is None:
        print(as_markdown(records, left_out), end="")
        return 0
    if is_rehearsal(records) and not options.rehearsal:
        print(f"{options.archive} is of a rehearsal; nothing was written", file=sys.stderr)
        return 2
    page = options.write.read_text(encoding="utf-8")
    written = put_into(page, as_markdown(records, left_out))
    options.write.write_text(written, encoding="utf-8")
    return 0


def is_rehearsal(records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nothing of it was measured on a card."""
    return not records or records[0].get("session") != "card"


def as_markdown(records: Sequence[Mapping[str, Any]], left_out: Mapping[str, int]) -> str:
    """The whole report of a session.

    Args:
        records: its log; the first one is its heading.
        left_out: files that were too large for the archive (bytes).
    """
    heading = records[0] if records else {}
    by_name = {record["step"]: record for record in records if "step" in record}
    facts = {name: record["facts"] for name, record in by_name.items()}
    title = REHEARSED if is_rehearsal(records) else f"Session of {heading['date'][:10]}"
    lines = [f"## {title}", "", *table(("", ""), _where(heading, facts.get("facts", {}))), ""]
    rows = [_row(name, by_name.get(name)) for name in PARTS]
    lines += table(("step", "what became of it", "s", "why"), rows)
    if left_out:
        lines += ["", f"Too large for the archive, in bytes: {dict(left_out)}."]
    for name, part in PARTS.items():
        if facts.get(name):
            status = by_name[name]["status"]
            suffix = "" if status == "done" else f" ({status})"
            lines += ["", f"### {part.title}{suffix}", "", part.decides, ""]
            lines += _lines(name, facts)
    return "\n".join(lines) + "\n"


def put_into(page: str, report: str) -> str:
    """The page with the report between its marks.

    Raises:
        ValueError: the page has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{begin}\n\n{report}\n{end}{after}"


def _lines(name: str, facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A step's tables; where a cut step left too little for them, what it noted."""
    try:
        return PARTS[name].lines(facts[name], facts)
    # What is left of a broken step may be of any form, and must not cost the others' tables.
    except Exception as error:  # noqa: BLE001
        noted = ", ".join(facts[name])
        return [f"Its tables cannot be made ({type(error).__name__}: {error}); it noted {noted}."]


def _where(heading: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    gpus = ", ".join(f"{gpu['name']} ({gpu['uuid']})" for gpu in facts.get("gpus", ()))
    packages = facts.get("packages", {})
    names = ("llem-core", "torch", "transformers", "nvidia-ml-py")
    versions = ", ".join(f"{name} {packages.get(name, 'absent')}" for name in names)
    build = heading.get("build") or {}
    return [
        ("date", str(heading.get("date"))),
        ("device", gpus or "not told"),
        ("driver", str(facts.get("driver"))),
        ("versions", f"Python {heading.get('python')}, {versions}"),
        ("commit", str(build.get("commit", "not told"))),
        ("deadline s", str(heading.get("deadline_s"))),
        ("install of the wheels s", str(heading.get("install_s"))),
    ]


def _row(name: str, record: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    if record is None:
        return (PARTS[name].title, "not run", "", "the session ended before it")
    reason = (record["reason"].strip().splitlines() or [""])[-1]
    return (PARTS[name].title, record["status"], str(record["took_s"]), reason[:200])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path, help="session.tar.gz")
    parser.add_argument("--write", type=Path, help="page whose marked part is replaced")
    parser.add_argument("--rehearsal", action="store_true", help="write a rehearsal's too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
