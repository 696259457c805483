"""What `llem report` does: folders in, one file or one text out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from llem_core.config.user import load_user_config
from llem_core.errors import ConfigError
from llem_core.files import read_file, write_atomically

from llem_report.facts.document import document
from llem_report.facts.entries import entries
from llem_report.facts.plain import plain
from llem_report.page.html import page
from llem_report.page.markdown import markdown
from llem_report.plots.all import draw_all
from llem_report.sources.detail import choose
from llem_report.sources.gather import gather
from llem_report.sources.material import Material

GENERATOR = b'<meta name="generator" content="llem-report'
_NAME = "report.html"


def write_report(
    folders: Sequence[Path], form: str = "html", output: Path | None = None
) -> tuple[str, Path | None]:
    """Make a report of experiments and studies.

    Args:
        folders: those that ``llem run`` made, in the order of the report.
        form: ``html``, ``md`` or ``json``.
        output: file to write; by default ``report.html`` in the folder, or in the current one
            where there are several. Markdown and JSON are written to no file by default.

    Returns:
        The text, and the file that it was written to, if any.

    Raises:
        ConfigError: a folder without results, or a file that cannot be written.
    """
    text = _text(gather(folders), form)
    if output is None and form != "html":
        return text, None
    target = output or _default(folders)
    try:
        return text, write_atomically(target, text.encode())
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written to {target}: {error.strerror}; name another file with "
            "-o FILE."
        ) from error


def _text(material: Material, form: str) -> str:
    found = entries(material)
    details = choose([(entry.name, entry.runs) for entry in found])
    drawn = draw_all(material.sources, found, details) if form == "html" else None
    facts = document(material, found, details, load_user_config().electricity)
    if drawn is not None:
        return page(facts, drawn)
    if form == "md":
        return markdown(facts)
    return json.dumps(plain(facts, material.sources), indent=1, ensure_ascii=False)


def _default(folders: Sequence[Path]) -> Path:
    """Where the page goes; a file there that is no report is not replaced."""
    folder = folders[0] if len(folders) == 1 else Path()
    target = (folder if folder.is_dir() else folder.parent) / _NAME
    try:
        ours = GENERATOR in read_file(target)[:2000]
    except FileNotFoundError:
        return target
    except OSError:
        ours = False
    if not ours:
        raise ConfigError(f"{target} is there and is no report of llem; name a file with -o FILE.")
    return target
