"""Sphinx configuration: MyST Markdown pages, built strictly by ``scripts/build_docs.sh``.

The pages are plain Markdown that also reads well on a forge. The one thing that Sphinx needs
beyond that, a table of contents, is taken from the links of ``index.md``.
"""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "LLenergyMeasure"
author = "The LLenergyMeasure developers"
project_copyright = author
version = release = installed_version("llem-core")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns: list[str] = []
nitpicky = True
html_theme = "furo"
# The whole name is wider than the side bar.
html_title = f"llem {version}"
html_static_path: list[str] = []
html_copy_source = False

# Slugs as forges make them, so that `page.md#a-heading` works there and here.
myst_heading_anchors = 4
# Straight quotes and dots stay what the terminal shows.
smartquotes = False
highlight_language = "text"

_LINK = re.compile(r"\[[^\]]+\]\(([\w./-]+)\.md\)")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def _add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give ``index.md`` a hidden table of contents: its linked pages under its headings.

    A ``toctree`` in the page itself would be shown as code on a forge. A page that the index
    does not link is a warning of Sphinx's, and so an error.
    """
    del app
    if docname != "index":
        return
    # Text, heading, text, heading, text, ...
    parts = _HEADING.split(source[0])
    for caption, text in zip(parts[1::2], parts[2::2], strict=True):
        pages = list(dict.fromkeys(_LINK.findall(text)))
        if pages:
            entries = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def setup(app: Sphinx) -> None:
    """Register what this file adds to Sphinx."""
    app.connect("source-read", _add_contents)
