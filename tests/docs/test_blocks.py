"""Every code block of the README and of docs/ is run, in order, page by page.

- `bash`: a script; `$ command` lines of `console` blocks: commands with what they print, where
  `...` stands for anything.
- `python`: a program of its own.
- `yaml`: an experiment or a study, which must be valid; `toml` and `json` must parse.
- A block whose first line is a comment that names a file becomes that file.
- `text` is not code. After `<!-- output -->` it is what the block before it prints.
- `<!-- not run: reason -->` before a block exempts it; these are listed at the end of the run.
"""

from __future__ import annotations

import difflib
import doctest
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from llem_core.config.loader import STUDY_KEYS, load_experiment_config

from tests.docs.pages import PAGES, ROOT, Block, blocks, name
from tests.docs.shell import Done, Shell, environment, split_installs

CODE = frozenset({"bash", "console", "python", "yaml", "toml", "json", "ini"})
LANGUAGES = CODE | {"text"}
OWN_ENVIRONMENT = "<!-- the blocks of this page make an environment of their own -->"
WITH_CODE = [page for page in PAGES if any(b.language in CODE for b in blocks(page))]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_has_a_language_that_is_known(page: Path) -> None:
    wrong = [f"{b.where}: {b.language!r}" for b in blocks(page) if b.language not in LANGUAGES]
    assert not wrong, f"label these blocks as one of {sorted(LANGUAGES)}: {wrong}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_text_blocks_hide_no_commands(page: Path) -> None:
    commands = re.compile(
        r"^(?:\$ |llem (?:run|config)|(?:uv )?pip |uv run |python )", re.MULTILINE
    )
    hidden = [b.where for b in blocks(page) if b.language == "text" and commands.search(b.text)]
    assert not hidden, f"these are commands, so label them bash or console: {hidden}"


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
@pytest.mark.timeout(600)
def test_the_blocks_run(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    workspace = OWN_ENVIRONMENT not in page.read_text(encoding="utf-8")
    variables = environment(tmp_path, workspace=workspace)
    if not workspace:  # wheels are built for pages that install them, and not otherwise
        variables["UV_FIND_LINKS"] = str(request.getfixturevalue("wheels"))
    shell = Shell(tmp_path, variables)
    last = Done(0, "")
    for block in blocks(page):
        if block.not_run is not None:
            continue
        if block.is_output:
            check_output(block, block.text, last.output)
        elif block.file_name is not None:
            shell.write(block.file_name, block.text)
            check_form(block, shell)
        elif block.language == "bash":
            last = run_script(block, block.text, shell, workspace=workspace)
        elif block.language == "console":
            for command, expected in transcript(block):
                last = run_script(block, command, shell, workspace=workspace)
                if expected:
                    check_output(block, expected, last.output)
        elif block.language == "python":
            last = shell.python(block.text)
            assert last.status == 0, f"{block.where} failed:\n{last.output}"
        elif block.language in CODE:
            check_form(block, shell)


def test_exempted_blocks_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    exempted = [b for page in PAGES for b in blocks(page) if b.not_run is not None]
    with capsys.disabled():
        print(f"\nblocks of the documentation that are not run: {len(exempted)}")
        for block in exempted:
            print(f"  {block.where} ({block.language}): {block.not_run}")
    assert all(block.not_run for block in exempted)
    assert not [b.where for b in exempted if b.language == "text"], "text is never run"


def run_script(block: Block, script: str, shell: Shell, *, workspace: bool) -> Done:
    if workspace:
        script, named = split_installs(script)
        check_distributions(block, named)
    done = shell.run(script, strict=block.language == "bash")
    assert done.status == 0, f"{block.where} ended with {done.status}:\n{done.output}"
    return done


def transcript(block: Block) -> Iterator[tuple[str, str]]:
    """Each `$ command` of a console block, with the output that is shown below it."""
    command, output = "", []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command + "\n", "\n".join(output)
            command, output = line.removeprefix("$ "), []
        elif command.endswith("\\") and not output:
            command += "\n" + line.removeprefix("> ")
        else:
            assert command, f"{block.where}: it does not begin with a `$ command`"
            output.append(line)
    yield command + "\n", "\n".join(output)


def check_output(block: Block, expected: str, printed: str) -> None:
    """Hold what is shown against what was printed; `...` stands for anything."""
    wanted = [line.rstrip() for line in expected.strip("\n").splitlines()]
    got = [line.rstrip() for line in printed.strip("\n").splitlines()]
    fits = doctest.OutputChecker().check_output(
        "\n".join(wanted) + "\n", "\n".join(got) + "\n", doctest.ELLIPSIS
    )
    if not fits:
        difference = "\n".join(difflib.unified_diff(wanted, got, "shown", "printed", lineterm=""))
        pytest.fail(f"{block.where} shows what is not printed:\n{difference}")


def check_form(block: Block, shell: Shell) -> None:
    """Hold a file or a fragment against its language."""
    if block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "python":
        compile(block.text, block.where, "exec")
    elif block.language == "bash":
        assert shell.run(f"bash -n <<'END_OF_FILE'\n{block.text}END_OF_FILE\n").status == 0, (
            f"{block.where} is no valid script"
        )
    elif block.language == "yaml":
        check_yaml(block, shell)


def check_yaml(block: Block, shell: Shell) -> None:
    content = yaml.safe_load(block.text)
    if str(block.file_name).startswith(".github/"):
        return
    if block.comment == "the user's configuration":
        from llem_core.config.user import load_user_config

        shell.write("user-configuration.yaml", block.text)
        load_user_config(shell.folder / "user-configuration.yaml")
        return
    if set(content) & STUDY_KEYS:
        check_study(block, content, shell)
        return
    shell.write("fragment.yaml", yaml.safe_dump({"model": "shape:tiny-llama", **content}))
    load_experiment_config(shell.folder / "fragment.yaml", environ={})


def check_study(block: Block, content: dict[str, object], shell: Shell) -> None:
    try:
        from llenergymeasure import load_study_config  # type: ignore[attr-defined]
    except (ImportError, AttributeError):
        pytest.skip("this llem-core has no studies")
    shell.write("fragment.yaml", block.text)
    load_study_config(shell.folder / "fragment.yaml")


def check_distributions(block: Block, named: list[str]) -> None:
    """Every `pip install llem-…` names a distribution of the workspace and extras that it has."""
    for word in named:
        found = re.fullmatch(r"([\w-]+)(?:\[([\w,-]+)\])?", word)
        assert found, f"{block.where}: {word} is not a distribution's name"
        path = ROOT / "packages" / found[1] / "pyproject.toml"
        assert path.exists(), f"{block.where}: the workspace has no {found[1]}"
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        for extra in (found[2] or "").split(",") if found[2] else ():
            assert extra in project.get("optional-dependencies", {}), (
                f"{block.where}: {found[1]} has no extra {extra}"
            )
