"""One experiment of a study, against a bare script that loads and generates the same.

Time counts from the moment when the study turns to the experiment until its end is in the
manifest: a fresh process, its imports, the measurement, the files. Gaps, baselines and energy are
off, since they are waits that a user asks for. Between two experiments the bare script runs, so
that both see the same machine. Run with ``uv run python benchmarks/study_overhead.py [pairs]``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from llem_core.events import Event, RunEnded, RunStarted
from llenergymeasure import run_study
from pairs import compile_sources, environment, heading, report, seconds
from whole_process import BARE, OUTPUT_TOKENS, PROMPT_TOKENS, REQUESTS, WARM


class Alternation:
    """A listener that times each run, and the bare script after it."""

    def __init__(self, script: Path) -> None:
        self.script = script
        self.started_s = 0.0
        self.timed: list[tuple[float, float]] = []

    def __call__(self, event: Event, /) -> None:
        if isinstance(event, RunStarted):
            self.started_s = time.perf_counter()
        elif isinstance(event, RunEnded):
            ours_s = time.perf_counter() - self.started_s
            if event.status != "completed":
                raise RuntimeError(event.error)
            self.timed.append((ours_s, seconds([sys.executable, str(self.script)])))


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    compile_sources()
    os.environ.update(environment())
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    heading("wall seconds")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(BARE)
        alternation = Alternation(script)
        study = {
            "name": "benchmark",
            "model": "shape:tiny-llama",
            "precision": "fp32",
            "n": REQUESTS,
            "dataset": {"source": "synthetic"},
            "max_input_tokens": PROMPT_TOKENS,
            "max_output_tokens": OUTPUT_TOKENS,
            "warmup": {"n_warmup": WARM, "convergence_detection": False},
            "baseline": {"enabled": False},
            "energy": {"sampler": None},
            "execution": {"n_cycles": pairs + 1},
        }
        run_study(study, output_dir=folder, gaps=False, listener=alternation)
        timed = alternation.timed[1:]  # the first of each only fills caches
    report("one study experiment", [a for a, _ in timed], [b for _, b in timed], "<= 1.15")


if __name__ == "__main__":
    main()
