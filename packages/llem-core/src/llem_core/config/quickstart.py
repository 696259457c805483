"""The experiment that ``llem run`` measures when it is given none."""

from __future__ import annotations

from typing import Any

QUICKSTART: dict[str, Any] = {
    "model": "shape:tiny-llama",
    "n": 40,
    "max_input_tokens": 256,
    "max_output_tokens": 64,
    "baseline": {"duration_seconds": 3.0},
}
"""Small enough for a laptop's CPU; everything else has its default."""
