"""``llem compare``: exit codes, forms of its answer, and what a wrong command line gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from llem_cli.main import execute

Make = Callable[..., Path]
Llem = Callable[..., str]
STEADY = [1.00, 1.01, 0.99, 1.005, 0.995]
WORSE = [1.102, 1.109, 1.09, 1.104, 1.095]


@pytest.fixture
def llem(capfd: pytest.CaptureFixture[str]) -> Llem:
    def run(*arguments: object, code: int = 0) -> str:
        assert execute([str(argument) for argument in arguments]) == code
        told = capfd.readouterr()
        return " ".join((told.err if code == 2 else told.out).split())

    return run


@pytest.fixture
def before(study: Make) -> Path:
    return study("a", {"x": STEADY})


@pytest.fixture
def after(study: Make) -> Path:
    return study("b", {"x": WORSE})


def test_a_loss_beyond_the_limit_is_exit_code_3(llem: Llem, before: Path, after: Path) -> None:
    text = llem("compare", before, after, "--max-regression", "3%", code=3)
    assert "worse by more than 3 % (95 % confidence)" in text
    assert "paired t-test" in text
    assert llem("compare", before, after, "--max-regression", "20")
    assert llem("compare", before, after)
    found = json.loads(llem("compare", before, after, "--max-regression", "3", "--json", code=3))
    assert found["failed"] is True
    assert found["rows"][0]["verdict"] == "worse"


def test_a_baseline_is_saved_and_compared_with(
    llem: Llem, before: Path, after: Path, tmp_path: Path
) -> None:
    file = tmp_path / "baseline.json"
    assert llem("compare", before, "--save-baseline", file).endswith("baseline.json")
    llem("compare", file, after, "--max-regression", "3%", code=3)
    llem("compare", file, before, "--max-regression", "3%")


def test_markdown_goes_to_the_summary_of_a_job(
    llem: Llem, before: Path, after: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    llem("compare", before, after, "--summary", "--max-regression", "3%", code=3)
    text = summary.read_text()
    assert text.startswith("before\n### ❌ llem compare")
    assert "| worse, beyond the limit |" in text
    assert "### ✅" in llem("compare", before, before, "--markdown", "--max-regression", "3%")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert "GITHUB_STEP_SUMMARY" in llem("compare", before, after, "--summary", code=2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--max-regression", "lots"], "is no share"),
        (["--max-regression", "-1%"], "is no share"),
        (["--max-regression", "nan"], "is no share"),
        (["--confidence", "95"], "is no probability"),
        (["--metric", "joules"], "no figure that can be compared"),
        (["--json", "--markdown"], "exclude each other"),
    ],
)
def test_a_wrong_command_line_is_told(
    llem: Llem, before: Path, after: Path, arguments: list[str], told: str
) -> None:
    assert told in llem("compare", before, after, *arguments, code=2)


def test_sides_that_are_none_are_told(llem: Llem, before: Path, tmp_path: Path) -> None:
    assert "Missing argument 'B'" in llem("compare", before, code=2)
    assert "cannot be read" in llem("compare", before, tmp_path / "none", code=2)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no results" in llem("compare", empty, before, code=2)


def test_what_is_not_alike_is_refused(llem: Llem, before: Path, study: Make) -> None:
    other = study("c", {"x": STEADY}, dataset_sha256="0")
    assert "go on with --anyway" in llem("compare", before, other, code=2)
    assert "Not alike" in llem("compare", before, other, "--anyway")
