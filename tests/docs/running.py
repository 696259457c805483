"""Runs the code blocks of one page, in order, and holds what they show against what they do."""

from __future__ import annotations

import difflib
import doctest
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml
from llem_core.config.layers import STUDY_KEYS
from llem_core.config.loader import load_experiment_config
from llem_core.config.user import load_user_config
from llenergymeasure import load_study_config

from tests.docs.pages import ROOT, Block, blocks
from tests.docs.shell import Done, Shell, split_installs

CODE = frozenset({"bash", "console", "python", "yaml", "toml", "json", "ini"})
LANGUAGES = CODE | {"text"}
OWN_ENVIRONMENT = "<!-- the blocks of this page make an environment of their own -->"


def uses_workspace(page: Path) -> bool:
    """Whether `llem` and `python` of a page are those of this workspace."""
    return OWN_ENVIRONMENT not in page.read_text(encoding="utf-8")


def run_page(page: Path, shell: Shell) -> None:
    workspace = uses_workspace(page)
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
        raise AssertionError(f"{block.where} shows what is not printed:\n{difference}")


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
    """A block is an experiment, a study, or after a comment that says so something else."""
    content = yaml.safe_load(block.text)
    if block.comment == "the user's configuration":
        shell.write("user-configuration.yaml", block.text)
        load_user_config(shell.folder / "user-configuration.yaml")
    elif set(content) & STUDY_KEYS:
        path = shell.write(block.file_name or "fragment.yaml", block.text)
        load_study_config(path, environ={})
    else:
        whole = yaml.safe_dump({"model": "shape:tiny-llama", **content})
        load_experiment_config(shell.write("fragment.yaml", whole), environ={})


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
