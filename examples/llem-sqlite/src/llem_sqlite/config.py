"""The section ``sqlite`` of an experiment file; its presence turns the sink on."""

from __future__ import annotations

from typing import Literal

from llem_core.contracts import Section
from pydantic import Field


class SqliteConfig(Section):
    """Where the database is, and how several writers get along."""

    path: str = Field(
        "llem.sqlite",
        min_length=1,
        description="The database's file; made with its folder if it is not there.",
    )
    busy_timeout_seconds: float = Field(
        30.0, ge=0, description="How long to wait for another writer (s)."
    )
    journal_mode: Literal["wal", "delete"] = Field(
        "wal",
        description="`wal`: readers and a writer do not wait for each other. `delete`: for a "
        "network file system, where WAL does not work.",
    )
