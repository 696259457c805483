"""The runner of the pages' blocks notices what is wrong with a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from llem_core.errors import ConfigError

from tests.docs.pages import ROOT, anchors, blocks, slugify
from tests.docs.running import run_page
from tests.docs.shell import Shell, environment, split_installs


def fence(language: str, text: str, before: str = "") -> str:
    return f"{before}\n```{language}\n{text}\n```\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def run(*parts: str) -> None:
        page = ROOT / "build" / f"{tmp_path.name}.md"
        page.parent.mkdir(exist_ok=True)
        page.write_text("\n".join(parts), encoding="utf-8")
        try:
            run_page(page, Shell(tmp_path / "place", environment(tmp_path, workspace=True)))
        finally:
            page.unlink()

    return run


def test_a_page_is_one_terminal(run, tmp_path: Path) -> None:
    run(
        fence("bash", "mkdir there && cd there\nexport WORD=hello"),
        fence("text", "# note.txt\nwritten", "<!-- a remark -->"),
        fence("console", "$ echo $WORD; cat note.txt\nhello\n...\nwritten"),
        fence("python", "print(open('note.txt').read().split()[-1])"),
        fence("text", "written", "<!-- output -->"),
    )
    (note,) = tmp_path.rglob("there/note.txt")
    assert note.read_text().split()[-1] == "written"


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (fence("bash", "false\ntrue"), "ended with 1"),
        (fence("python", "raise SystemExit(3)"), "failed"),
        (fence("console", "$ echo one\ntwo"), "shows what is not printed"),
        (fence("console", "no command"), "does not begin"),
        (fence("bash", "pip install llem-nothing"), "no llem-nothing"),
        (fence("bash", "pip install 'llem-cli[nothing]'"), "no extra nothing"),
        (fence("bash", "# wrong.sh\nif"), "no valid script"),
    ],
)
def test_a_wrong_block_is_noticed(run, part: str, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        run(part)


@pytest.mark.parametrize(
    "text", ["m: 1", "model: m\npytorch: {batchsize: 1}", "model: m\nsweep: {n: 4}"]
)
def test_yaml_that_is_no_configuration_is_noticed(run, text: str) -> None:
    with pytest.raises(ConfigError):
        run(fence("yaml", text))


def test_an_exempted_block_is_not_run(run, tmp_path: Path) -> None:
    run(fence("bash", "touch it-ran\nfalse", "<!-- not run: it would fail -->"))
    assert not list(tmp_path.rglob("it-ran"))


def test_a_block_that_is_never_closed_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```bash\ntrue\n")
    with pytest.raises(AssertionError, match="never closed"):
        blocks(page)


def test_installs_of_others_are_kept() -> None:
    kept, named = split_installs("pip install llem-core 'llem-cli[zeus]'  # both\npip install uv\n")
    assert kept == "pip install uv\n"
    assert named == ["llem-core", "llem-cli[zeus]"]


def test_anchors_are_those_of_a_forge(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`, three\n## Same\n## Same\n```text\n# not a heading\n```\n")
    assert anchors(page) == {"one-two-three", "same", "same-1"}
    assert slugify("no meter could be used (…)") == "no-meter-could-be-used-"
