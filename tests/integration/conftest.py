"""Integration tests use real torch and real processes, on small shapes, and no network."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Threads cost more than they give on shapes this small, and much more on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
