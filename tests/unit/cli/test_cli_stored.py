"""``llem show`` and ``llem list``: finished, running, broken and hostile folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llem_cli.main import execute
from llem_core.testing import InlineLauncher
from llenergymeasure import run_experiment, run_study

pytestmark = pytest.mark.usefixtures("scripted")
FIELDS: dict[str, Any] = {
    "model": "m",
    "backend": "scripted",
    "baseline": {"enabled": False},
    "warmup": {"enabled": False},
    "max_output_tokens": 4,
}
Llem = Callable[..., str]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LLEM_OUTPUT", raising=False)


@pytest.fixture
def llem(capfd: pytest.CaptureFixture[str]) -> Llem:
    def run(*arguments: str, code: int = 0) -> str:
        assert execute(list(arguments)) == code
        told = capfd.readouterr()
        return told.out if code == 0 else " ".join(told.err.split())

    return run


@pytest.fixture
def study() -> Path:
    content = {**FIELDS, "name": "s", "sweep": {"n": [1, 2]}, "execution": {"n_cycles": 2}}
    found = run_study(content, output_dir="results", launcher=InlineLauncher(), gaps=False)
    assert found.folder is not None
    return found.folder


def experiment(output: str = "results", **fields: Any) -> Path:
    run_experiment(**{**FIELDS, "n": 2, **fields}, output_dir=output)
    return max(Path(output).glob("*/result.json"), key=lambda p: p.stat().st_mtime_ns).parent


def test_show_is_the_summary_that_the_run_printed(llem: Llem) -> None:
    arguments = ("-m", "m", "-b", "scripted", "-n", "2", "--quiet", "-o", "results")
    printed = llem("run", *arguments, "--set", "baseline.enabled=false")
    assert llem("show") == printed
    (folder,) = Path("results").iterdir()
    assert llem("show", str(folder / "result.json")) == printed
    assert json.loads(llem("show", str(folder), "--json"))["n_requests"] == 2


def test_show_a_study(llem: Llem, study: Path) -> None:
    text = llem("show", str(study))
    assert "4 of 4 completed" in text
    assert "study_result.json" in text
    assert json.loads(llem("show", str(study), "--json"))["status"] == "completed"


def test_show_a_running_study_with_its_failures(llem: Llem, study: Path) -> None:
    (study / "study_result.json").unlink()
    content = json.loads((study / "manifest.json").read_text())
    content["status"] = "running"
    content["experiments"][0] |= {"status": "failed", "error": "BackendError: it broke"}
    content["experiments"][3] |= {"status": "pending", "result_file": None}
    (study / "manifest.json").write_text(json.dumps(content))
    text = " ".join(llem("show", str(study)).split())
    assert "still running, or its process was cut off: 2 of 4 runs have a result" in text
    assert "n=1, cycle 1: BackendError: it broke" in text
    assert "1 failed, 1 not run" in text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "no result of an experiment that can be read"),
        ('{"schema_version": 99}', "newer"),
        ("[]", "no result of an experiment"),
    ],
)
def test_show_a_broken_result_says_why(llem: Llem, content: str, told: str) -> None:
    folder = experiment()
    (folder / "result.json").write_text(content)
    assert told in llem("show", str(folder), code=2)


def test_show_says_where_results_are(llem: Llem) -> None:
    folder = experiment()
    assert folder.name in llem("show", "results", code=2)
    Path("empty").mkdir()
    assert "holds no results" in llem("show", "empty", code=2)
    assert "no folder" in llem("list", "nowhere", code=2)
    assert "none in empty" in llem("list", "empty")


def test_nothing_of_a_result_acts_on_the_terminal(llem: Llem) -> None:
    folder = experiment()
    content = json.loads((folder / "result.json").read_text())
    content["model"] = "<b>\x1b[2J\u202e[red]\nm"
    (folder / "result.json").write_text(json.dumps(content))
    for arguments in (("show", str(folder)), ("list", "results"), ("list", "results", "--json")):
        text = llem(*arguments)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "<b>" in text


def test_the_list(llem: Llem, study: Path) -> None:
    experiment()
    old = Path("results/m_scripted_2001-01-01T00-00-00Z")
    shutil.copytree(experiment(), old)
    (old / "result.json").write_text("{")
    text = llem("list", "results")
    lines = text.splitlines()
    assert "4 in results" in lines[0]
    assert "completed 4/4" in text
    assert "study s" in text
    assert "m, scripted" in text
    assert f"{old.name} cannot be read" in " ".join(text.split())
    rows = json.loads(llem("list", "results", "--json"))
    assert [row["status"] for row in rows] == ["completed"] * 3 + ["unreadable"]
    assert rows[-1]["problem"]
    assert len(json.loads(llem("list", "results", "--json", "-n", "2"))) == 2
    assert "2 older ones are not shown" in llem("list", "results", "-n", "2")


def test_the_list_reads_no_more_than_it_shows(llem: Llem) -> None:
    one = experiment()
    content = (one / "result.json").read_text()
    for number in range(200):
        folder = Path(f"results/m_scripted_2001-01-01T00-00-00Z_{number}")
        folder.mkdir()
        # What is listed is readable; to read another one would never end.
        (folder / "result.json").write_text(content if number > 170 else "{")
    rows = json.loads(llem("list", "results", "--json", "-n", "30"))
    assert {row["status"] for row in rows} == {"completed"}
    assert "171 older" in llem("list", "results", "-n", "30")


def test_completion_knows_the_commands() -> None:
    from click.shell_completion import ShellComplete
    from llem_cli.cli import cli

    names = {item.value for item in ShellComplete(cli, {}, "llem", "C").get_completions([], "")}
    assert {"run", "show", "list", "report", "config"} <= names
