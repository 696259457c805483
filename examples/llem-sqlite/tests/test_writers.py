"""Many processes write to one database at once."""

import contextlib
import json
import sqlite3
import subprocess
import sys

PROGRAM = """
import sys
from pathlib import Path
from types import SimpleNamespace
from llem_core.results.experiment import ExperimentResult
from llem_sqlite.config import SqliteConfig
from llem_sqlite.sink import SqliteSink

database, file, writer, rows = sys.argv[1:]
finished = SimpleNamespace(result=ExperimentResult.model_validate_json(Path(file).read_text()))
sink = SqliteSink(SqliteConfig(path=database))
for number in range(int(rows)):
    sink.write_experiment(finished, Path(f"{writer}-{number}"))
"""


def test_writers_at_once(measure, tmp_path):
    measure(to_database=False)
    (file,) = (tmp_path / "results").glob("*/result.json")
    database, writers, rows = tmp_path / "many.sqlite", 4, 10
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, database, file, str(number), str(rows)],
            stderr=subprocess.PIPE,
        )
        for number in range(writers)
    ]
    errors = [process.communicate(timeout=120)[1].decode() for process in running]

    assert [process.returncode for process in running] == [0] * writers, errors
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT result_json FROM experiments").fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert len(found) == writers * rows
    assert all(json.loads(text)["n_requests"] == 3 for (text,) in found)
