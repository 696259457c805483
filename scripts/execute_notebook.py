"""Executes a notebook, checks that it is kept clean and what it shows, and writes the executed one.

    python scripts/execute_notebook.py NOTEBOOK OUTPUT

Needs nbclient and ipykernel, which are not of the workspace; see ``check_notebook.sh``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient


def main(notebook: Path, output: Path) -> int:
    """Execute it; gives the exit code."""
    content = nbformat.read(notebook, as_version=4)
    kept = [cell for cell in content.cells if cell.get("outputs") or cell.get("execution_count")]
    if kept:
        print(f"{notebook} is kept with {len(kept)} outputs; clear them before it is committed")
        return 1
    with tempfile.TemporaryDirectory() as place:
        resources = {"metadata": {"path": place}}
        NotebookClient(content, timeout=300, kernel_name="python3", resources=resources).execute()
    nbformat.write(content, output)
    texts = list(_shown(content))
    missing = [wanted for wanted in WANTED if not any(wanted in text for text in texts)]
    for wanted in missing:
        print(f"the executed notebook shows nowhere: {wanted}")
    for text in texts:
        if "<div" not in text and "<style" not in text:
            print(text.rstrip().rpartition("\r")[2])
    print(f"{notebook}: {'failed' if missing else 'executed'}; the outputs are in {output}")
    return 1 if missing else 0


WANTED = (
    "<ExperimentResult shape:tiny-llama, pytorch: ",
    "<StudyResult batches, completed: 4 of 4 runs, 2 configurations",
    "<b>Experiment</b>",
    "<b>Configurations</b>",
    "\r",
    "vega-lite",
    "output_tokens_per_second_interval_low",
)
"""Both short forms, both summaries, the line of progress, the plot and a frame."""


def _shown(content: Any) -> Iterator[str]:
    for cell in content.cells:
        for output in cell.get("outputs", ()):
            yield output.get("text", "")
            for kind, value in output.get("data", {}).items():
                yield f"{kind} {value}" if "vega" in kind else str(value)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
