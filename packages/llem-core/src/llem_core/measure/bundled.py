"""The prompts that llem-core ships: written for this project, under its licence (MIT)."""

from __future__ import annotations

import json
from importlib.resources import files


def bundled_prompts() -> list[str]:
    """All bundled prompts; any first part of them has a spread of kinds and lengths."""
    text = files("llem_core.measure").joinpath("data/prompts.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["prompt"] for line in text.splitlines() if line.strip()]
