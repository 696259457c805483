"""``python -m llem_report.testing FOLDER``: a folder of results of each kind."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from llem_report.testing.parts import Made
from llem_report.testing.study import MadeStudy, sweep, write_experiment, write_study

MARKUP = """<script>document.title='ran'</script><img src=x onerror="document.title='ran'">"&'`|*"""
_LONG = "a-rather-long-value-that-somebody-chose-to-tell-a-variant-by-and-then-some-more"


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    make(parser.parse_args().folder)


def make(folder: Path) -> None:
    """Make a folder of each kind below ``folder``, named after what it is."""
    quick = Made(sample_s=0.5)
    grid: dict[str, list[Any]] = {
        "pytorch.batch_size": [1, 4, 16, 64],
        "precision": ["fp32", "bf16"],
    }
    write_experiment(replace(quick, sample_s=0.1), folder / "experiment")
    write_experiment(replace(quick, method=None, seed=3), folder / "no-energy")
    write_experiment(replace(quick, method="estimated", seed=4), folder / "estimated")
    write_study(MadeStudy("batch-and-precision", sweep(grid, quick), 4), folder / "study")
    nodes = MadeStudy("two-nodes", sweep(grid, quick)[:4], 4, nodes=("n1", "n2"))
    write_study(nodes, folder / "nodes")
    loads = sweep({"load.concurrency": [1, 4, 16]}, replace(quick, served=True))
    write_study(MadeStudy("served", loads, 2), folder / "served")
    for state in ("running", "interrupted", "failed"):
        write_study(MadeStudy(state, sweep(grid, quick)[:3], 2, state=state), folder / state)
    marked = [replace(each, text=MARKUP) for each in sweep(grid, quick)[:3]]
    labels = [f"{MARKUP}{n}" for n in range(3)]
    write_study(MadeStudy(MARKUP, marked, 2, labels=labels), folder / "markup")
    long = sweep({"pytorch.attn_implementation": [_LONG, _LONG[::-1], "eager"]}, quick)
    write_study(MadeStudy("long-names", long, 2), folder / "long")
    one = replace(sweep({"precision": ["bf16"]}, quick)[0], method="estimated")
    mixed = [*sweep({"precision": ["fp16", "fp32"]}, quick), one]
    write_study(MadeStudy("some-estimated", mixed, 2), folder / "mixed")


if __name__ == "__main__":
    main()
