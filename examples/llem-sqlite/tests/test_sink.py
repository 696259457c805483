"""What is in the database after experiments and studies."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from llem_core.contracts.sink import FinishedRun, FinishedStudy
from llem_core.results.study import StudyResult, StudySummary

from llem_sqlite.config import SqliteConfig
from llem_sqlite.database import APPLICATION_ID
from llem_sqlite.sink import SqliteSink


def ask(path, question):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(question)]


@pytest.fixture
def database(tmp_path):
    return tmp_path / "r.sqlite"


def test_an_experiment_is_a_row(measure, database):
    result = measure()
    (row,) = ask(database, "SELECT * FROM experiments")

    assert row["energy_total_j"] == result.energy_total_j > 0
    assert row["output_tokens"] == 12
    assert row["time_to_first_token_p50_s"] == result.time_to_first_token.p50_s
    assert row["measurement_config_hash"] == result.measurement_config_hash
    assert json.loads(row["result_json"])["n_requests"] == 3
    assert (Path(row["directory"]) / "result.json").exists()


def test_the_raw_files_are_named_in_the_row(measure, database):
    measure()
    (row,) = ask(database, "SELECT json_extract(result_json, '$.requests') AS r FROM experiments")

    assert row["r"] == "requests.parquet"


def test_no_energy_is_null(measure, database):
    measure(energy={"sampler": None})
    (row,) = ask(database, "SELECT energy_total_j, energy_source, mean_power_w FROM experiments")

    assert list(row.values()) == [None, None, None]


def test_every_figure_has_its_unit(measure, database):
    measure()
    units = {
        r["column_name"]: r["unit"]
        for r in ask(database, "SELECT * FROM units WHERE table_name = 'experiments'")
    }
    suffixes = {"_j": "J", "_w": "W", "_s": "s", "_bytes": "B", "_per_second": "1/s"}

    for name, unit in units.items():
        expected = [u for suffix, u in suffixes.items() if name.endswith(suffix)]
        if expected:
            assert unit == expected[0], name
    columns = {r["name"] for r in ask(database, "PRAGMA table_info(experiments)")}
    assert columns - set(units) == {"pid", "folder", "directory", "result_json"}


def test_every_column_is_a_key_of_the_result(measure, database):
    measure()
    for row in ask(database, "SELECT result_key FROM units WHERE table_name = 'experiments'"):
        key, whole = row["result_key"], row["result_key"].partition(".")[0]
        types = [
            f"json_type(result_json, '$.{name}') AS {as_}"
            for name, as_ in ((key, "t"), (whole, "w"))
        ]
        (found,) = ask(database, f"SELECT {', '.join(types)} FROM experiments")
        assert found["t"] is not None or found["w"] == "null", key


def test_a_database_of_an_older_version_gets_the_columns_that_it_lacks(measure, database):
    measure()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE experiments DROP COLUMN time_per_output_token_mean_s")
        connection.execute("DELETE FROM units WHERE column_name LIKE 'time_per_output_token%'")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    result = measure()

    rows = ask(database, "SELECT time_per_output_token_mean_s AS t FROM experiments ORDER BY t")
    assert [row["t"] for row in rows] == [None, result.time_per_output_token.mean_s]
    (unit,) = ask(
        database, "SELECT unit FROM units WHERE column_name = 'time_per_output_token_mean_s'"
    )
    assert unit == {"unit": "s"}


def test_writing_again_changes_nothing(measure, database, tmp_path):
    measure()
    (file,) = (tmp_path / "results").glob("*/result.json")
    before = ask(database, "SELECT * FROM experiments")
    sink = SqliteSink(SqliteConfig(path=str(database)))
    for _ in range(2):
        sink.write_study(study([file]), tmp_path)

    assert [r["energy_total_j"] for r in ask(database, "SELECT * FROM experiments")] == [
        before[0]["energy_total_j"]
    ]
    assert len(ask(database, "SELECT * FROM study_runs")) == 1
    assert len(ask(database, "SELECT * FROM studies")) == 1


def test_a_study_brings_the_experiments_that_are_missing(measure, tmp_path):
    for _ in range(3):
        measure(to_database=False)
    files = sorted((tmp_path / "results").glob("*/result.json"))
    other = tmp_path / "sub" / "other.sqlite"
    SqliteSink(SqliteConfig(path=str(other))).write_study(study(files), tmp_path)
    rows = ask(
        other,
        "SELECT position, cycle, energy_total_j FROM study_runs "
        "JOIN experiments USING (measurement_config_hash, started_at, pid, folder) "
        "ORDER BY position",
    )

    energies = [json.loads(file.read_text())["energy_total_j"] for file in files]
    assert [r["energy_total_j"] for r in rows] == energies
    assert [r["cycle"] for r in rows] == [1, 2, 3]
    (row,) = ask(other, "SELECT * FROM studies")
    assert (row["study_name"], row["n_runs"], row["status"]) == ("night", 3, "completed")


def test_a_result_that_cannot_be_read_is_told_and_the_rest_is_written(measure, tmp_path, database):
    measure()
    (file,) = (tmp_path / "results").glob("*/result.json")
    sink = SqliteSink(SqliteConfig(path=str(database)))
    with pytest.raises(OSError, match="gone"):
        sink.write_study(study([tmp_path / "gone" / "result.json", file]), tmp_path)

    rows = ask(database, "SELECT position, folder FROM study_runs ORDER BY position")
    assert rows == [
        {"position": 1, "folder": None},
        {"position": 2, "folder": file.parent.name},
    ]


def test_a_run_that_failed_is_a_row_with_its_error(measure, tmp_path, database):
    SqliteSink(SqliteConfig(path=str(database))).write_study(study([None]), tmp_path)
    (row,) = ask(database, "SELECT * FROM study_runs")

    assert (row["status"], row["error"], row["started_at"]) == ("failed", "it broke", None)


def test_a_foreign_database_is_left_alone(measure, database):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    result = measure()

    assert any("not one of llem-sqlite" in w for w in result.measurement_warnings)
    assert [r["name"] for r in ask(database, "SELECT name FROM sqlite_master")] == ["cats"]


def test_a_newer_database_is_refused(measure, database):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE experiments (name TEXT)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 99")
    result = measure()

    assert any("schema version 99" in w for w in result.measurement_warnings)


def test_a_file_that_is_no_database_costs_no_result(measure, database):
    database.write_text("notes, " * 100)
    result = measure()

    assert result.output_tokens == 12
    assert any("not a database" in w for w in result.measurement_warnings)
    assert database.read_text().startswith("notes")


def test_journal_mode_delete(measure, database):
    measure(sqlite={"path": str(database), "journal_mode": "delete"})

    assert ask(database, "PRAGMA journal_mode") == [{"journal_mode": "delete"}]
    assert len(ask(database, "SELECT * FROM experiments")) == 1


def study(files):
    """A finished study with the figures that have a column."""
    summary = StudySummary.model_construct(
        n_configurations=1,
        n_cycles=3,
        n_runs=3,
        n_completed=3,
        n_failed=0,
        energy_total_j=None,
        duration_measured_s=1.0,
        duration_total_s=2.0,
    )
    result = StudyResult.model_construct(
        study_name="night",
        study_design_hash="0123456789abcdef",
        status="completed",
        started_at="2025-01-01T00:00:00+00:00",
        finished_at="2025-01-01T01:00:00+00:00",
        summary=summary,
    )
    runs = [_run(position, file) for position, file in enumerate(files, start=1)]
    return FinishedStudy(result, runs)


def _run(position, file):
    known = file is not None and file.exists()
    name = json.loads(file.read_text())["measurement_config_hash"] if known else "0" * 16
    ended = ("completed", None) if file is not None else ("failed", "it broke")
    return FinishedRun(position, name, position, "any", ended[0], file, ended[1])
