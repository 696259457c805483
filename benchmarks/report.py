"""How long `llem report` takes for a large study, how large its page is, and how fast it draws.

The study is made up, through the real result classes: configurations of 5 cycles, each run with
requests and samples. The page is opened in an installed Chromium, each time in one that was just
started; what is timed goes on until the frame after the load has been drawn. Run with
``uv run --with playwright python benchmarks/report.py [runs]``.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llem_report.testing.study import MadeStudy, sweep, write_study
from pairs import ROOT, compile_sources, environment

AXES = {
    "pytorch.batch_size": [1, 2, 4, 8, 12, 16, 24, 32, 48, 64],
    "max_output_tokens": [32, 64, 128, 256, 512],
    "precision": ["fp32", "fp16", "bf16", "auto"],
}
N_CYCLES = 5
TRIES = 5


def main() -> None:
    """Make the study, report on it, and open the page."""
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    compile_sources()
    with tempfile.TemporaryDirectory() as place:
        folder, page = Path(place) / "study", Path(place) / "page.html"
        n_runs = make(folder, asked)
        n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{n_runs:,} runs, {n_bytes / 1e6:.0f} MB of files")
        for number in range(TRIES):
            wall_s, cpu_s = report(folder, page)
            print(
                f"llem report, try {number + 1}: {wall_s:5.2f} s ({cpu_s:.2f} s of processors)   "
                "bar <= 10 s"
            )
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"its memory at the peak: {peak:.0f} MiB")
        print(f"the page: {page.stat().st_size / 1e6:.2f} MB   bar <= 10 MB")
        draw(page)


def make(folder: Path, asked: int) -> int:
    """Write a study of about so many runs; gives how many there are."""
    seeds = -(-asked // (N_CYCLES * 200))
    axes = AXES if seeds == 1 else {**AXES, "random_seed": list(range(seeds))}
    found = sweep(axes)[: max(1, asked // N_CYCLES)]
    study = MadeStudy("large", found, N_CYCLES)
    write_study(study, folder, raw_of=8)
    return len(study.runs())


def report(folder: Path, page: Path) -> tuple[float, float]:
    """Wall time of the whole command, and the time that processors worked on it (s)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = str(Path(sys.executable).parent / "llem")
    command = [program, "report", str(folder), "-o", str(page)]
    started_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment())
    wall_s = time.perf_counter() - started_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s


def draw(page: Path) -> None:
    """Open the page, each time in a fresh browser."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from report_browser import browser, find_chromium, look

    chromium = find_chromium()
    if chromium is None:
        print("drawing: not timed, as no Chromium is installed")
        return
    for number in range(TRIES):
        with browser(chromium) as running:
            seen = look(running, page)
        print(
            f"Chromium, try {number + 1}: {seen.load_ms / 1000:.2f} s to the load event, drawn "
            f"after {seen.drawn_s:.2f} s   bar <= 3 s"
        )
        if seen.wrong:
            print("\n".join(seen.wrong))


if __name__ == "__main__":
    main()
