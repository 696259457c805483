"""``llem report``: where the page goes, what stdout has, and what it says of bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from llem_cli.main import execute
from llem_report.testing.parts import Made
from llem_report.testing.study import write_experiment


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write_experiment(Made(sample_s=10.0, n_requests=2), tmp_path / "run")
    return tmp_path / "run"


def test_the_page_goes_into_the_folder_and_is_made_anew(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert execute(["report", "run"]) == 0
        assert capfd.readouterr().out == "run/report.html\n"
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_a_file_that_is_no_report_is_not_replaced(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "report.html").write_text("my own")
    assert execute(["report", "run"]) == 2
    assert "is no report of llem; name a file with -o FILE" in capfd.readouterr().err
    assert (folder / "report.html").read_text() == "my own"
    assert execute(["report", "run", "-o", "other.html"]) == 0
    assert Path("other.html").exists()


def test_markdown_and_json_go_to_stdout_alone(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert execute(["report", "run", "--md"]) == 0
    assert capfd.readouterr().out.startswith("# Experiment with shape:made-up\n")
    assert execute(["report", "run", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["configurations"][0]["n_completed"] == 1
    assert execute(["report", "run", "--json", "-o", "facts.json"]) == 0
    assert capfd.readouterr().out == "facts.json\n"
    assert json.loads(Path("facts.json").read_text())["report_version"] == 1
    assert sorted(path.name for path in folder.iterdir()) == [
        *("requests.parquet", "result.json", "timeseries.parquet"),
    ]


def test_several_folders_make_one_page_here(folder: Path) -> None:
    write_experiment(Made(sample_s=10.0, n_requests=2, seed=2), folder.parent / "other")
    assert execute(["report", "run", "other"]) == 0
    assert Path("report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument 'DIR...'"),
        (["nowhere"], "there is no folder nowhere"),
        (["."], "has no results of its own, but 1 of its folders have, such as run"),
        (["run", "--md", "--open"], "--open is for the HTML page"),
        (["run", "-o", "nowhere/x.html"], "cannot be written to nowhere/x.html"),
    ],
)
def test_mistakes_are_one_paragraph_and_exit_2(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert execute(["report", *arguments]) == 2
    assert words in capfd.readouterr().err


def test_the_users_electricity_is_in_the_report_and_nowhere_else(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = folder.parent / "config" / "llenergymeasure"
    place.mkdir(parents=True)
    (place / "config.yaml").write_text("electricity: {price_per_kwh: 0.3, currency: EUR}\n")
    assert execute(["report", "run", "--md"]) == 0
    assert "Emissions and cost (derived)" in capfd.readouterr().out
    (place / "config.yaml").write_text("electricity: {price_per_kwh: cheap}\n")
    assert execute(["report", "run", "--md"]) == 2
    assert "electricity.price_per_kwh" in capfd.readouterr().err


def test_without_llem_report_it_says_what_to_install(folder: Path) -> None:
    program = (
        "import sys; sys.modules['llem_report'] = None\n"
        "from llem_cli.main import execute; sys.exit(execute(['report', 'run']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "pip install 'llem-cli[report]'" in done.stderr
    assert done.stdout == ""
