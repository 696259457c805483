"""Opens a report in a real Chromium, offline, and says what is wrong with how it looks and acts.

Needs the package playwright, which drives a Chromium that is installed already; it is no dependency
of the project (``uv run --with playwright``).
"""

from __future__ import annotations

import base64
import csv
import io
import shutil
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_DOWNLOADED = 2
VIEWS = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "narrow": (390, 844, "light")}
"""Width and height of the window (px), and the colours that the reader prefers."""
_NEXT_FRAME = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))"

_LOOK = """() => {
  const wrong = [];
  const all = s => [...document.querySelectorAll(s)];
  const luminance = c => {
    const p = c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2];
  };
  const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m);
    return (x + 0.05) / (y + 0.05);
  };
  if (document.title === 'ran') wrong.push('a script from a result ran');
  if (all('script, iframe, object, embed, link[rel=stylesheet], img').length)
    wrong.push('an element that loads or runs something');
  for (const e of all('*')) for (const a of e.attributes)
    if (/^on/.test(a.name)) wrong.push(`an event handler: ${a.name}`);
  if (document.documentElement.scrollWidth > innerWidth + 1)
    wrong.push(`the page is ${document.documentElement.scrollWidth} px wide on ${innerWidth}`);
  if (all('h1').length !== 1) wrong.push('not one h1');
  let level = 1;
  for (const h of all('h1, h2, h3, h4')) {
    const now = Number(h.tagName[1]);
    if (now > level + 1) wrong.push(`a heading skips a level: ${h.textContent}`);
    level = now;
  }
  for (const landmark of ['header', 'nav', 'main', 'footer'])
    if (all(landmark).length !== 1) wrong.push(`not one ${landmark}`);
  for (const t of all('table'))
    if (!t.caption || !t.querySelector('th[scope=col]')) wrong.push('a table without headings');
  for (const f of all('figure')) {
    const name = f.querySelector('h3').textContent;
    const svg = f.querySelector('.plot svg');
    if (!svg) { wrong.push(`no drawing: ${name}`); continue; }
    if (!f.querySelector('figcaption').textContent) wrong.push(`no caption: ${name}`);
    if (!f.querySelector('details table tbody tr')) wrong.push(`no table: ${name}`);
    const plot = f.querySelector('.plot');
    for (const id of ['labelledby', 'describedby'])
      if (!document.getElementById(plot.getAttribute(`aria-${id}`)))
        wrong.push(`no aria-${id}: ${name}`);
    const box = svg.getBoundingClientRect();
    for (const t of svg.querySelectorAll('text')) {
      const r = t.getBoundingClientRect();
      if (r.width && (r.left < box.left - 2 || r.right > box.right + 2 ||
          r.top < box.top - 2 || r.bottom > box.bottom + 2))
        wrong.push(`clipped in ${name}: ${t.textContent}`);
      const fill = t.getAttribute('fill') || '';
      const back = getComputedStyle(f).backgroundColor;
      if (fill.startsWith('var(') && contrast(getComputedStyle(t).fill, back) < 4.5)
        wrong.push(`too little contrast in ${name}: ${t.textContent}`);
    }
  }
  for (const s of ['body', 'a', 'figcaption', 'header p', 'dt']) {
    const e = document.querySelector(s);
    let b = e;
    const clear = 'rgba(0, 0, 0, 0)';
    while (b && getComputedStyle(b).backgroundColor === clear) b = b.parentElement;
    const back = b ? getComputedStyle(b).backgroundColor : 'rgb(255, 255, 255)';
    if (e && contrast(getComputedStyle(e).color, back) < 4.5) wrong.push(`contrast of ${s}`);
  }
  return wrong;
}"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a page.

    Attributes:
        wrong: what is wrong with it, a sentence each.
        n_figures: figures in it.
        load_ms: from the start of the navigation to the end of the load event.
        drawn_s: the same until the frame after it was painted, by this process's clock.
    """

    wrong: list[str]
    n_figures: int
    load_ms: float
    drawn_s: float


def find_chromium() -> str | None:
    """The program of an installed Chromium, or ``None``."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser(program: str) -> Iterator[Any]:
    """Within the block a Chromium runs, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=list(_FLAGS))
        try:
            yield started
        finally:
            started.close()


def look(running: Any, page_file: Path, pictures: Path | None = None) -> Seen:
    """Open a page and look at it: bright, dark and on a narrow screen.

    Args:
        running: the Chromium.
        page_file: the page.
        pictures: folder for a picture of the whole page in each view.
    """
    address = page_file.resolve().as_uri()
    context = running.new_context(accept_downloads=True)
    wrong: list[str] = []
    page = context.new_page()

    def ask(route: Any) -> None:
        if route.request.url == address:
            route.continue_()
        else:
            wrong.append(f"a request to {route.request.url[:80]}")
            route.abort()

    page.route(lambda url: not url.startswith("data:"), ask)
    page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (wrong.append("a dialog"), dialog.dismiss()))
    started_s = time.perf_counter()
    page.goto(address, wait_until="load")
    page.evaluate(_NEXT_FRAME)
    drawn_s = time.perf_counter() - started_s
    load_ms = page.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd")
    page.keyboard.press("Tab")
    if page.evaluate("() => document.activeElement.className") != "skip":
        wrong.append("the first stop of the keyboard is not the link past the contents")
    for name, (width, height, scheme) in VIEWS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.evaluate(_NEXT_FRAME)
        if pictures is not None:
            page.screenshot(path=str(pictures / f"{page_file.stem}-{name}.png"), full_page=True)
        wrong += [f"{name}: {each}" for each in page.evaluate(_LOOK)]
    wrong += _files(page)
    n_figures = page.locator("figure").count()
    context.close()
    return Seen(list(dict.fromkeys(wrong)), n_figures, load_ms, drawn_s)


def _files(page: Any) -> Iterator[str]:
    """What is wrong with the files behind the page's links.

    The first two are really downloaded; Chromium gives no page many downloads in a row.
    """
    links = page.locator("a[download]")
    for number in range(links.count()):
        link = links.nth(number)
        name, address = link.get_attribute("download"), link.get_attribute("href")
        head, _, body = address.partition(";base64,")
        content = base64.b64decode(body, validate=True).decode()
        if not head.startswith(("data:image/svg+xml", "data:text/csv")):
            yield f"{name} is {head[:40]}"
        if number < _DOWNLOADED:
            with page.expect_download(timeout=10_000) as pending:
                link.click()
            if Path(pending.value.path()).read_text(encoding="utf-8") != content:
                yield f"{name} is not what its link holds"
        if name.endswith(".svg"):
            try:
                ET.fromstring(content)
            except ET.ParseError as error:
                yield f"{name} is no SVG: {error}"
            if "var(--" in content:
                yield f"{name} has colours that only the page knows"
        elif len(list(csv.reader(io.StringIO(content)))) < 2:
            yield f"{name} has no rows"
