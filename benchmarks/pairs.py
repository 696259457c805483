"""Times two commands in alternation, so that a ratio holds while the machine's speed drifts."""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent


def environment() -> dict[str, str]:
    """The environment of timed processes: bytecode allowed, one thread, no network."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def compile_sources() -> None:
    """Compile the workspace's own sources, as an installer does with wheels."""
    for package in sorted((ROOT / "packages").glob("*/src")):
        compileall.compile_dir(package, quiet=2)


def seconds(command: Sequence[str], directory: Path | None = None) -> float:
    """Wall time of one run of a command (s).

    Raises:
        RuntimeError: it failed; the message has what it said.
    """
    started_s = time.perf_counter()
    done = subprocess.run(
        command, env=environment(), cwd=directory, capture_output=True, text=True, check=False
    )
    elapsed_s = time.perf_counter() - started_s
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr[-2000:]}")
    return elapsed_s


def compare(
    name: str,
    ours: Sequence[str],
    reference: Sequence[str],
    bar: str,
    *,
    pairs: int,
    directory: Path | None = None,
) -> None:
    """Run both in turn, after one run of each that does not count, and print the ratio."""
    for command in (ours, reference):
        seconds(command, directory)
    timed = [(seconds(ours, directory), seconds(reference, directory)) for _ in range(pairs)]
    report(name, [a for a, _ in timed], [b for _, b in timed], bar)


def report(name: str, ours: Sequence[float], reference: Sequence[float], bar: str) -> None:
    """Print medians of both, and median, least and greatest of the ratio pair by pair."""
    ratios = [a / b for a, b in zip(ours, reference, strict=True)]
    print(
        f"{name:<28} {statistics.median(ours):>9.4g} {statistics.median(reference):>9.4g} "
        f"{statistics.median(ratios):>7.3f} ({min(ratios):.3f} to {max(ratios):.3f})  bar {bar}"
    )


def heading(unit: str) -> None:
    """Print the table's heading."""
    print(f"{'':<28} {'ours':>9} {'reference':>9} {'ratio':>7} (least to greatest), {unit}")


def llem() -> str:
    """Path of the ``llem`` command beside this Python."""
    return str(Path(sys.executable).parent / "llem")
