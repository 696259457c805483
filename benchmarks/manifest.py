"""One transition of a study's manifest, against writing the same bytes with fsync.

Run with ``uv run python benchmarks/manifest.py [entries] [pairs]``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from llem_core.study.record.manifest import MANIFEST, ManifestEntry, ManifestWriter, StudyManifest
from pairs import heading, report


def manifest(entries: int) -> StudyManifest:
    runs = [ManifestEntry(config_hash=f"{n * 7919:016x}", cycle=1 + n % 3) for n in range(entries)]
    return StudyManifest(
        study_name="benchmark",
        study_design_hash="0" * 16,
        started_at="2026-01-01T00:00:00Z",
        experiments=runs,
    )


def raw(path: Path, content: bytes) -> float:
    """Seconds to write a file over again and flush it to the disk."""
    started_s = time.perf_counter()
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - started_s


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    pairs = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    with tempfile.TemporaryDirectory(dir=".") as folder:
        writer = ManifestWriter(Path(folder), manifest(entries))
        runs = list(writer.manifest.experiments)
        # All of them completed, as at the end of a study: the longest that it gets.
        for index, run in enumerate(runs):
            file = f"{index:05d}_batch_size-8_precision-fp16_{run.config_hash}_c{run.cycle}"
            runs[index] = run.model_copy(
                update={
                    "status": "completed" if index >= pairs else "pending",
                    "result_file": f"{file}/result.json",
                    "attempt": 1,
                    "pid": 4_000_000,
                    "started_at": "2026-01-01T00:00:00Z",
                    "finished_at": "2026-01-01T00:00:00Z",
                }
            )
        full = writer.manifest.model_copy(update={"experiments": runs})
        writer = ManifestWriter(Path(folder), full)
        path, reference = Path(folder) / MANIFEST, Path(folder) / "reference"
        timed = []
        for number in range(pairs):
            run = runs[number]
            content = path.read_bytes()
            before = raw(reference, content) if number % 2 else None
            started_s = time.perf_counter()
            writer.mark_running(run.config_hash, run.cycle, run_id="4000000")
            ours_s = time.perf_counter() - started_s
            timed.append((ours_s, raw(reference, content) if before is None else before))
        size = path.stat().st_size
    heading("seconds")
    name = f"{entries} entries, {size / 1e6:.1f} MB"
    report(name, [a for a, _ in timed], [b for _, b in timed], "<= 1.5")
    print(f"{size / entries:.0f} bytes an entry, bar <= 300")


if __name__ == "__main__":
    main()
