"""Benchmarks are scripts beside the packages; their folder is put on the path as Python does."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
