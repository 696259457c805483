"""CPU time that sampling costs the measured process: with the sampler and without, in turn.

Each run is a process of its own that waits for some seconds, as a process does while its GPU
computes, with the NVML sampler started or not; its own CPU time over those seconds is compared.
Without a GPU the sampler reads simulated ones, whose Python costs more than the driver's calls in
some places and less in others: the figure to trust is the one from the machine that is used. Run
with ``uv run python benchmarks/sampling_cost.py [pairs] [seconds] [interval_ms]``.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time

BAR = 0.005


def child(sampled: bool, seconds: float, interval_s: float) -> None:
    from llem_core.contracts import SamplerSettings
    from llem_energy_nvml.availability import availability
    from llem_energy_nvml.sampler import NvmlSampler
    from llem_energy_nvml.testing import SimulatedGpu, simulated_driver

    real = availability()
    with contextlib.nullcontext() if real.usable else simulated_driver([SimulatedGpu()]):
        sampler = NvmlSampler(SamplerSettings(interval_s))
        if sampled:
            sampler.start()
            sampler.begin("window")
        started_s, started_cpu_s = time.monotonic(), time.process_time()
        longest_s = work(seconds)
        cpu_s, wall_s = time.process_time() - started_cpu_s, time.monotonic() - started_s
        if sampled:
            sampler.end("window")
            sampler.stop()
    told = real.reason if real.usable else "one simulated GPU"
    print(json.dumps({"share": cpu_s / wall_s, "longest_s": longest_s, "device": told}))


def work(seconds: float) -> float:
    """Wait as a decode loop does, a step every 10 ms; the longest that a step was late (s)."""
    longest_s = 0.0
    until_s = time.monotonic() + seconds
    while (before_s := time.monotonic()) < until_s:
        time.sleep(0.01)
        longest_s = max(longest_s, time.monotonic() - before_s - 0.01)
    return longest_s


def run(sampled: bool, seconds: float, interval_s: float) -> dict[str, float]:
    code = f"import sampling_cost; sampling_cost.child({sampled}, {seconds}, {interval_s})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=sys.path[0],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    interval_s = float(sys.argv[3]) / 1000 if len(sys.argv) > 3 else 0.1
    runs = [(run(True, seconds, interval_s), run(False, seconds, interval_s)) for _ in range(pairs)]
    ours, reference = ([r["share"] for r in side] for side in zip(*runs, strict=True))
    late, late_reference = ([r["longest_s"] for r in side] for side in zip(*runs, strict=True))
    added = [a - b for a, b in zip(ours, reference, strict=True)]
    ratios = [a / b for a, b in zip(ours, reference, strict=True)]
    print(f"{runs[0][0]['device']}, one sample every {interval_s * 1000:g} ms")
    print(
        f"CPU, share of one core: {statistics.median(ours):.3%} with the sampler, "
        f"{statistics.median(reference):.3%} without"
    )
    print(
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); added "
        f"{statistics.median(added):.3%} ({min(added):.3%} to {max(added):.3%})  bar <= {BAR:.1%}"
    )
    print(
        f"latest step of the loop: {statistics.median(late) * 1000:.2f} ms with, "
        f"{statistics.median(late_reference) * 1000:.2f} ms without"
    )


if __name__ == "__main__":
    main()
