"""A baseline file: one side of a comparison, kept for later ones."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llem_core import __version__
from llem_core.errors import ConfigError
from llem_core.files import write_atomically
from llem_core.text import now
from pydantic import TypeAdapter, ValidationError

from llem_report.compare.side import Side

BASELINE_VERSION = 1
_SIDE = TypeAdapter(Side)


def save_baseline(side: Side, file: Path) -> Path:
    """Write a side to a file, for ``llem compare FILE NEW``.

    It holds each run's figures, and what must be alike for a comparison; no texts of prompts or
    answers.

    Raises:
        ConfigError: it cannot be written.
    """
    content = {
        "llem_baseline": BASELINE_VERSION,
        "saved_at": now(),
        "tool_version": __version__,
        "side": asdict(side),
    }
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    try:
        return write_atomically(file, text.encode())
    except OSError as error:
        raise ConfigError(f"the baseline cannot be written to {file}: {error.strerror}.") from error


def read_baseline(content: dict[str, Any], file: Path) -> Side:
    """The side that a baseline file holds.

    Raises:
        ConfigError: it is of another version, or damaged.
    """
    version = content["llem_baseline"]
    if version != BASELINE_VERSION:
        raise ConfigError(
            f"{file} is a baseline of version {version!r}, and this llem-report reads version "
            f"{BASELINE_VERSION}; save it anew with `llem compare DIR --save-baseline {file}`."
        )
    try:
        return _SIDE.validate_python(content.get("side"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{file} is no baseline that can be read ({place}: {first['msg']}); save it anew with "
            f"`llem compare DIR --save-baseline {file}`."
        ) from error
