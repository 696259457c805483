"""Expands, validates and hashes 10,000 combinations, beside plain validation of the same fields.

    uv run python benchmarks/grid.py

Times are CPU seconds of this process, which a busy machine lengthens less than wall time. The
reference validates the same raw fields one by one and hashes nothing.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.config.sweep.expand import expand_grid
from pairs import heading, report

BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def mixed(combinations: int) -> dict[str, Any]:
    """A sweep over shared fields and the backend's section."""
    return {
        "model": "shape:tiny-llama",
        "sweep": {
            "pytorch.batch_size": BATCH_SIZES,
            "pytorch.precision": ["fp32", "fp16", "bf16", "auto"],
            "max_output_tokens": [16, 32, 64, 128, 256],
            "n": list(range(1, combinations // 200 + 1)),
        },
    }


def sections(combinations: int) -> dict[str, Any]:
    """A sweep in which no two experiments have the same section: nothing can be shared."""
    return {
        "model": "shape:tiny-llama",
        "sweep": {
            "pytorch.batch_size": BATCH_SIZES,
            "pytorch.num_threads": list(range(1, 11)),
            "pytorch.attn_implementation": ["eager", "sdpa"],
            "pytorch.num_beams": list(range(1, combinations // 200 + 1)),
        },
    }


def hashed(study: dict[str, Any]) -> int:
    """Expand a study and ask every experiment for its hash."""
    expansion = expand_grid(study)
    return len({config.measurement_config_hash for config in expansion.experiments})


def cpu_seconds(work: Callable[[], object]) -> float:
    started_s = time.process_time()
    work()
    return time.process_time() - started_s


def compare(name: str, study: dict[str, Any], combinations: int, repeats: int) -> None:
    fields = [
        config.model_dump(exclude_unset=True, mode="json")
        for config in expand_grid(study).experiments
    ]
    keys = {"model", "backend", "pytorch", "precision", "max_output_tokens", "n"}
    raw = [{key: value for key, value in one.items() if key in keys} for one in fields]
    assert hashed(study) == combinations
    milli = 1000 / combinations
    timed = [
        (
            cpu_seconds(lambda: hashed(study)) * milli,
            cpu_seconds(lambda: [ExperimentConfig.model_validate(one) for one in raw]) * milli,
        )
        for _ in range(repeats)
    ]
    report(name, [a for a, _ in timed], [b for _, b in timed], "<= 0.10 ms each (ours)")


def memory(name: str, make: Callable[[int], dict[str, Any]]) -> None:
    """Print peak memory a combination at two sizes: linear where they are alike."""
    told = []
    for combinations in (1000, 10_000):
        tracemalloc.start()
        kept = expand_grid(make(combinations))
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(kept.experiments) == combinations
        told.append(f"{peak_bytes / combinations:,.0f} bytes each at {combinations:,}")
    print(f"{name:<28} {', '.join(told)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="pairs of timings")
    repeats = parser.parse_args().repeats
    heading("CPU ms a combination of 10,000")
    for name, make in (("shared fields and section", mixed), ("section only", sections)):
        compare(name, make(10_000), 10_000, repeats)
    for name, make in (("shared fields and section", mixed), ("section only", sections)):
        memory(f"peak, {name}"[:28], make)


if __name__ == "__main__":
    main()
