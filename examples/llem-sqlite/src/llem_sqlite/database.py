"""The database: its schema, and opening it among other writers."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llem_core.errors import LLEMError

from llem_sqlite.columns import EXPERIMENT, STUDY, Column
from llem_sqlite.config import SqliteConfig

SCHEMA_VERSION = 2
APPLICATION_ID = 0x6C6C656D  # "llem" in ASCII: says whose database a file is
_RETRY_S = 0.05

EXPERIMENT_KEY = ("measurement_config_hash", "started_at", "pid", "folder")
STUDY_KEY = ("study_design_hash", "started_at", "study_name")
RUN_KEY = ("study_design_hash", "study_started_at", "study_name", "position")


@contextlib.contextmanager
def transaction(config: SqliteConfig) -> Iterator[sqlite3.Connection]:
    """Open the database, with its tables, and write all that is done in the block at once.

    Raises:
        OSError: its file cannot be opened or written, or another writer held it too long.
        LLEMError: the file is something else, or of a newer version of this sink.
    """
    path = Path(config.path).expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Transactions are begun by hand: one that will write must say so before it reads.
        connection = sqlite3.connect(
            path, timeout=config.busy_timeout_seconds, isolation_level=None
        )
        with contextlib.closing(connection):
            _set_journal(connection, config)
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                _make_tables(connection, path)
                yield connection
    except sqlite3.Error as error:
        raise OSError(f"the database {path} cannot be written: {error}") from error


def upsert(
    connection: sqlite3.Connection, table: str, row: Mapping[str, Any], key: Sequence[str]
) -> None:
    """Write a row, over the one with the same key if there is one."""
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name not in key)
    connection.execute(
        f"INSERT INTO {table} ({names}) VALUES ({values}) "  # noqa: S608 - names are ours
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}",
        dict(row),
    )


def _set_journal(connection: sqlite3.Connection, config: SqliteConfig) -> None:
    """Choose the journal; SQLite does not wait by itself for others that do the same."""
    deadline_s = time.monotonic() + config.busy_timeout_seconds
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {config.journal_mode}")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline_s:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and owner != APPLICATION_ID:
        raise LLEMError(
            f"the database {path} is not one of llem-sqlite; set sqlite.path to another file"
        )
    if version > SCHEMA_VERSION:
        raise LLEMError(
            f"the database {path} has schema version {version}, and this llem-sqlite writes "
            f"{SCHEMA_VERSION}; install a newer one, or set sqlite.path to another file"
        )
    if tables:
        if version < SCHEMA_VERSION:
            _add_columns(connection)
        return
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute(
        f"CREATE TABLE experiments ({_declared(EXPERIMENT)}, pid INTEGER NOT NULL, "
        "folder TEXT NOT NULL, directory TEXT NOT NULL, result_json TEXT NOT NULL, "
        f"PRIMARY KEY ({', '.join(EXPERIMENT_KEY)}))"
    )
    connection.execute(
        f"CREATE TABLE studies ({_declared(STUDY)}, directory TEXT NOT NULL, "
        f"result_json TEXT NOT NULL, PRIMARY KEY ({', '.join(STUDY_KEY)}))"
    )
    connection.execute(
        "CREATE TABLE study_runs (study_design_hash TEXT NOT NULL, study_started_at TEXT NOT NULL, "
        "study_name TEXT NOT NULL, position INTEGER NOT NULL, cycle INTEGER NOT NULL, "
        "label TEXT NOT NULL, status TEXT NOT NULL, error TEXT, "
        "measurement_config_hash TEXT NOT NULL, started_at TEXT, pid INTEGER, folder TEXT, "
        f"PRIMARY KEY ({', '.join(RUN_KEY)}), "
        f"FOREIGN KEY ({', '.join(EXPERIMENT_KEY)}) REFERENCES experiments)"
    )
    connection.execute(
        "CREATE TABLE units (table_name TEXT NOT NULL, column_name TEXT NOT NULL, "
        "unit TEXT NOT NULL, result_key TEXT NOT NULL, PRIMARY KEY (table_name, column_name))"
    )
    for table, columns in (("experiments", EXPERIMENT), ("studies", STUDY)):
        _tell_units(connection, table, columns)


def _add_columns(connection: sqlite3.Connection) -> None:
    """Bring a database of an older version up to date; rows that it has are null there."""
    there = {row[1] for row in connection.execute("PRAGMA table_info(experiments)")}
    new = [column for column in EXPERIMENT if column.name not in there]
    for column in new:
        connection.execute(f"ALTER TABLE experiments ADD COLUMN {column.name} {column.kind}")
    _tell_units(connection, "experiments", new)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _tell_units(connection: sqlite3.Connection, table: str, columns: Sequence[Column]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO units VALUES (?, ?, ?, ?)",
        [(table, column.name, column.unit, ".".join(column.path)) for column in columns],
    )


def _declared(columns: Sequence[Column]) -> str:
    return ", ".join(f"{column.name} {column.kind}" for column in columns)
