"""The time of day, as it stands in files."""

from __future__ import annotations

import datetime as dt


def now() -> str:
    """Now, in UTC, ISO 8601, to the second."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
