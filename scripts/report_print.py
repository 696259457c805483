"""Says what is wrong with a report on paper: printed by a real Chromium, by a reader of dark pages.

Needs the packages playwright and pypdf, which are no dependencies of the project
(``uv run --with playwright --with pypdf``).
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_PAPER = {"width": 703, "height": 1017}
"""What the page's margins leave of A4 (px)."""

_LOOK = """() => {
  const wrong = [];
  const all = s => [...document.querySelectorAll(s)];
  const shown = e => e.getClientRects().length > 0;
  const named = e => `${e.tagName.toLowerCase()} “${e.textContent.trim().slice(0, 40)}”`;
  for (const e of all('button, input, select, nav, .skip, [download], figure summary'))
    if (shown(e)) wrong.push(`of no use on paper: ${named(e)}`);
  const edge = document.documentElement.clientWidth + 1;
  for (const e of all('body *')) {
    const right = Math.max(0, ...[...e.getClientRects()].map(r => r.right));
    if (right > edge) wrong.push(`${named(e)} ends ${Math.round(right - edge)} px off the paper`);
  }
  for (const e of all('main, section, figure, .plot, .scroll, details, pre, dd')) {
    const style = getComputedStyle(e);
    if (e.scrollWidth > e.clientWidth + 1)
      wrong.push(`${named(e)} is ${e.scrollWidth} px wide in ${e.clientWidth}`);
    if (/auto|scroll|hidden/.test(style.overflowX + style.overflowY))
      wrong.push(`${named(e)} would have to be scrolled`);
  }
  for (const e of [document.documentElement, ...all('body, body *')]) {
    const found = getComputedStyle(e).backgroundColor.match(/[\\d.]+/g).map(Number);
    const clear = found.length > 3 && found[3] === 0;
    if (!clear && Math.min(...found.slice(0, 3)) < 200) wrong.push(`a dark ground: ${named(e)}`);
  }
  for (const e of all('h1, h2, h3, p, dd, td, figcaption, .plot text')) {
    const style = getComputedStyle(e);
    const ink = (e.tagName === 'text' ? style.fill : style.color).match(/[\\d.]+/g).map(Number);
    if (e.getAttribute('fill') !== '#fdfefe' && Math.min(...ink.slice(0, 3)) > 150)
      wrong.push(`a bright ink: ${named(e)}`);
  }
  for (const e of all('.run .facts, figure .key table, .paper'))
    if (!shown(e) || !e.checkVisibility({contentVisibilityAuto: true}))
      wrong.push(`not printed: ${named(e)}`);
  return [...new Set(wrong)];
}"""

_HEADINGS = """() => {
  const texts = s => [...document.querySelectorAll(s)].map(e => e.textContent);
  const elsewhere = new Set(texts('dd, li, td'));
  return texts('h2, h3, .run summary, .folder').filter(text => !elsewhere.has(text));
}"""
"""Those that can be told from other text where they stand last on a sheet."""
_FIGURES = """() => [...document.querySelectorAll('figure')]
  .map(f => [f.querySelector('h3'), f.querySelector('figcaption')].map(e => e.textContent))"""


def look_printed(running: Any, page_file: Path, kept: Path | None = None) -> list[str]:
    """What is wrong with a page on A4, a sentence each.

    Args:
        running: the Chromium.
        page_file: the page.
        kept: folder for the PDF.
    """
    import pypdf

    context = running.new_context(viewport=_PAPER, color_scheme="dark")
    page = context.new_page()
    page.goto(page_file.resolve().as_uri(), wait_until="load")
    page.emulate_media(media="print", color_scheme="dark")
    wrong = list(page.evaluate(_LOOK))
    headings, figures = page.evaluate(_HEADINGS), page.evaluate(_FIGURES)
    content = page.pdf(format="A4", print_background=True, prefer_css_page_size=True)
    context.close()
    if kept is not None:
        (kept / f"{page_file.stem}.pdf").write_bytes(content)
    sheets = [sheet.extract_text() for sheet in pypdf.PdfReader(io.BytesIO(content)).pages]
    wrong += _torn(sheets, headings, figures)
    return [f"printed: {each}" for each in wrong]


def _torn(
    sheets: Sequence[str], headings: Sequence[str], figures: Sequence[Sequence[str]]
) -> Iterator[str]:
    """Headings that end a sheet of paper, and figures that do not stand on one."""
    bare = [_bare(sheet) for sheet in sheets]
    for number, sheet in enumerate(bare[:-1], start=1):
        if not sheet:
            yield f"sheet {number} is empty"
        last = next((each for each in headings if sheet.endswith(_bare(each))), None)
        if sheet and last is not None:
            yield f"sheet {number} ends with the heading {last!r}"
    for title, caption in figures:
        if not any(_bare(title) in sheet and _bare(caption) in sheet for sheet in bare):
            yield f"the figure {title!r} is cut"


def _bare(text: str) -> str:
    """The text without what a font or the end of a line does to it."""
    return "".join(unicodedata.normalize("NFKC", text).replace("\u2010", "-").split())
