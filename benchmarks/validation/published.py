"""Published figures that a real GPU's results stand beside; none of them is ours."""

from __future__ import annotations

SOURCE = "ML.ENERGY leaderboard data, 2026-02: H100, vLLM 0.11.1, bf16, steady state"
JOULES_PER_OUTPUT_TOKEN = {
    "Llama-3.1-8B": {8: 0.455, 16: 0.263, 32: 0.165, 64: 0.119, 128: 0.095, 256: 0.077},
    "Qwen3-8B": {8: 0.444, 16: 0.259, 32: 0.163, 64: 0.119, 128: 0.097, 256: 0.082},
}
"""Model to concurrent sequences to joules per output token."""
REFERENCE = "Llama-3.1-8B"
FIRST_BATCH = 8
"""The smallest batch that is published; ratios are to it."""

FLOOR_SOURCE = "16 GB of weights at 3.35 TB/s and 300 to 450 W, batch 1 on an H100 (derived)"
FLOOR_J = (1.4, 2.2)
"""Joules per output token at batch 1, before any overhead of a framework."""

REPEATABILITY_SOURCE = "repeatability on one card can be better than 1 % (arXiv 2312.02741)"


def published_ratio(batch: int) -> float | None:
    """How often the energy of a token at ``FIRST_BATCH`` holds that at ``batch``, as published."""
    figures = JOULES_PER_OUTPUT_TOKEN[REFERENCE]
    return figures[FIRST_BATCH] / figures[batch] if batch in figures else None
