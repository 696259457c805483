"""Reports of each kind in a real Chromium: light, dark, narrow, printed; fails on what is wrong.

uv run --with playwright --with pypdf python scripts/report_pages.py [<folder to keep pages in>]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from llem_report import write_report
from llem_report.testing.__main__ import make
from report_browser import VIEWS, browser, find_chromium, look
from report_print import look_printed

SEVERAL = {
    "several": ("study", "served", "experiment", "estimated"),
    "experiments": ("experiment", "estimated", "no-energy"),
}
FEWEST_FIGURES = {"failed": 0, "study": 15, "served": 12, "experiment": 5, "several": 15}


def main() -> int:
    """Make the pages and look at each."""
    chromium = find_chromium()
    if chromium is None:
        print("no Chromium is installed, so no report was opened")
        return 3
    with tempfile.TemporaryDirectory() as place:
        pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else None
        kept = pictures or Path(place)
        kept.mkdir(parents=True, exist_ok=True)
        results = Path(place) / "results"
        make(results)
        kinds = {path.name: (path.name,) for path in sorted(results.iterdir())} | SEVERAL
        wrong: list[str] = []
        started_s = time.perf_counter()
        with browser(chromium) as running:
            for kind, folders in kinds.items():
                page = kept / f"{kind}.html"
                write_report([results / folder for folder in folders], "html", page)
                seen = look(running, page, pictures)
                found = [*seen.wrong, *look_printed(running, page, pictures)]
                wrong += [f"{kind}, {each}" for each in found]
                if seen.n_figures < FEWEST_FIGURES.get(kind, 3):
                    wrong.append(f"{kind}: only {seen.n_figures} figures")
        took_s = time.perf_counter() - started_s
    print("\n".join(wrong))
    print(
        f"reports: {len(kinds)} kinds in {len(VIEWS)} views and printed, "
        f"{len(wrong)} things wrong, {took_s:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
