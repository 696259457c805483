"""A study of many experiments that do nothing: does its cost stay the same to the end?

Real processes, a backend that is a distribution of its own, an empty baseline, no gaps. Prints
the parent's memory, the time of an experiment and the manifest's size, early and late. Run with
``uv run python benchmarks/study_10000.py [experiments]``; 10,000 take hours.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from llem_core.events import Event, RunEnded, RunStarted
from llenergymeasure import run_study
from pairs import compile_sources

PLUGIN = """
import time

from llem_core.contracts import (
    BackendSection, BackendSpec, Batch, BatchOutput, CheckReport, DeviceInfo, InferenceBackend,
    ModelInfo, RequestOutput, hookimpl,
)
from pydantic import Field

LLEM_CONTRACT = 2

class NothingConfig(BackendSection):
    number: int = Field(0, description="Tells experiments apart.")

class NothingBackend(InferenceBackend):
    def load(self):
        return ModelInfo(
            parameters=None,
            parameters_non_embedding=None,
            devices=(DeviceInfo("cpu", "cpu"),),
        )

    def prepare(self, prompts, purpose):
        return [Batch((prompt.index,), (1,), payload=None, padded_tokens=1) for prompt in prompts]

    def generate(self, batch):
        now_s = time.monotonic()
        request = RequestOutput(
            index=batch.indices[0], input_tokens=1, output_tokens=1, started_s=now_s, ended_s=now_s
        )
        return BatchOutput((request,), times_missing_reason="nothing is generated")

    def unload(self):
        pass

@hookimpl
def llem_backends():
    return [BackendSpec(
        name="nothing", summary="Does nothing.", section=NothingConfig,
        create=NothingBackend, check=lambda workload: CheckReport(),
    )]
"""
SHIPPED = "llem-pytorch,llem-energy-nvml,llem-energy-zeus,llem-energy-codecarbon,llem-energy-dcgm"


def install(folder: Path) -> None:
    (folder / "nothing_plugin.py").write_text(PLUGIN)
    info = folder / "llem_nothing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llem-nothing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[llem]\nnothing = nothing_plugin\n")
    sys.path.insert(0, str(folder))
    os.environ["LLEM_DISABLE_PLUGINS"] = SHIPPED


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Watch:
    """A listener that notes what each run cost."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.began_s = time.perf_counter()
        self.started_s = 0.0
        self.between_s: list[float] = []
        self.elapsed_s: list[float] = []
        self.memory_mb: list[float] = []
        self.descriptors: list[int] = []
        self.failed = 0

    def __call__(self, event: Event, /) -> None:
        if isinstance(event, RunStarted):
            now_s = time.perf_counter()
            if self.started_s:
                self.between_s.append(now_s - self.started_s)
            self.started_s = now_s
        elif isinstance(event, RunEnded):
            self.elapsed_s.append(event.elapsed_s)
            self.memory_mb.append(resident_mb())
            self.descriptors.append(sum(1 for _ in Path("/proc/self/fd").iterdir()))
            self.failed += event.status != "completed"
            self._tell_of_a_tenth()

    def _tell_of_a_tenth(self) -> None:
        """Hours may be lost to whatever ends the run: each tenth is told when it is over."""
        done, tenth = len(self.elapsed_s), max(1, self.n // 10)
        if done % tenth == 0:
            print(
                f"{done:>6} of {self.n} after {time.perf_counter() - self.began_s:>6.0f} s: "
                f"{statistics.median(self.elapsed_s[-tenth:]):.3f} s an experiment, "
                f"{self.memory_mb[-1]:.1f} MB, {self.descriptors[-1]} open files",
                flush=True,
            )


def first_and_last(name: str, values: list[float], unit: str) -> None:
    """Print medians of the first and the last tenth; the very first runs fill caches."""
    tenth = max(1, len(values) // 10)
    first = statistics.median(values[2 : tenth + 2])
    last = statistics.median(values[-tenth:])
    ratio = last / first
    print(f"{name:<34} {first:>10.4g} {last:>10.4g}  {ratio:>6.3f}  {unit}")


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    compile_sources()
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        site.mkdir()
        install(site)
        watch = Watch(n)
        study = {
            "name": "many",
            "model": "none",
            "backend": "nothing",
            "n": 1,
            "energy": {"sampler": None},
            "warmup": {"enabled": False},
            "sweep": {"nothing.number": list(range(n))},
            "execution": {"config_gap_seconds": 0, "cycle_gap_seconds": 0, "max_experiments": n},
        }
        output = Path(folder) / "out"
        began_s = time.perf_counter()
        result = run_study(study, output_dir=output, listener=watch)
        took_s = time.perf_counter() - began_s
        (directory,) = output.iterdir()
        manifest_bytes = (directory / "manifest.json").stat().st_size
    print(f"{n} experiments in {took_s:.0f} s, {watch.failed} failed, status {result.status}")
    print(f"{'':<34} {'first 10%':>10} {'last 10%':>10}  {'ratio':>6}")
    first_and_last("an experiment", watch.elapsed_s, "s")
    first_and_last("from one start to the next", watch.between_s, "s")
    first_and_last("memory of the study's process", watch.memory_mb, "MB")
    first_and_last("its open files", [float(count) for count in watch.descriptors], "")
    print(f"the manifest has {manifest_bytes / n:.0f} bytes an entry, bar < 300")


if __name__ == "__main__":
    main()
