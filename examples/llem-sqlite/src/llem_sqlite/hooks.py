"""Registers the sink; what the entry point names, so it imports nothing heavy."""

from __future__ import annotations

from llem_core.contracts import ResultSink, Section, SinkSpec, hookimpl

from llem_sqlite.config import SqliteConfig

LLEM_CONTRACT = 2


def _create(section: Section | None) -> ResultSink:
    from llem_sqlite.sink import SqliteSink

    return SqliteSink(section)


SQLITE = SinkSpec(
    name="sqlite",
    summary="A row an experiment in a SQLite database, with a table of units.",
    create=_create,
    section=SqliteConfig,
)


@hookimpl
def llem_sinks() -> list[SinkSpec]:
    """Name the sink."""
    return [SQLITE]
