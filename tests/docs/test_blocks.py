"""Every code block of the README and of docs/ is run, in order, page by page.

Without `--full`, those of two pages alone.

- `bash`: a script; `$ command` lines of `console` blocks: commands with what they print, where
  `...` stands for anything.
- `python`: a program of its own.
- `yaml`: an experiment or a study, which must be valid; `toml` and `json` must parse.
- A block whose first line is a comment that names a file becomes that file.
- `text` is not code. After `<!-- output -->` it is what the block before it prints.
- `<!-- not run: reason -->` before a block exempts it; these are listed at the end of the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, blocks, name
from tests.docs.running import CODE, LANGUAGES, run_page, uses_workspace
from tests.docs.shell import Shell, environment

# Two short ones; all of them with --full.
BRIEF = ("docs/plugins/sink.md", "docs/troubleshooting.md")
WITH_CODE = [
    pytest.param(page, id=name(page), marks=[] if name(page) in BRIEF else [pytest.mark.full])
    for page in PAGES
    if any(b.language in CODE for b in blocks(page))
]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_has_a_language_that_is_known(page: Path) -> None:
    wrong = [f"{b.where}: {b.language!r}" for b in blocks(page) if b.language not in LANGUAGES]
    assert not wrong, f"label these blocks as one of {sorted(LANGUAGES)}: {wrong}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_text_blocks_hide_no_commands(page: Path) -> None:
    # A line of figures, such as a benchmark's, may begin with a command.
    commands = re.compile(
        r"^(?:\$ |llem (?:run|config)(?!.* {3}\d)|(?:uv )?pip |uv run |python )", re.MULTILINE
    )
    hidden = [b.where for b in blocks(page) if b.language == "text" and commands.search(b.text)]
    assert not hidden, f"these are commands, so label them bash or console: {hidden}"


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_blocks_run(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    workspace = uses_workspace(page)
    variables = environment(tmp_path, workspace=workspace)
    if not workspace:  # wheels are built for pages that install them, and not otherwise
        variables["UV_FIND_LINKS"] = str(request.getfixturevalue("wheels"))
    run_page(page, Shell(tmp_path, variables))  # asserts on every block; test_running shows how


def test_exempted_blocks_say_why(tell: Callable[[str], None]) -> None:
    exempted = [b for page in PAGES for b in blocks(page) if b.not_run is not None]
    listed = [f"  {block.where} ({block.language}): {block.not_run}" for block in exempted]
    tell("\n".join([f"blocks of the documentation that are not run: {len(exempted)}", *listed]))
    assert all(block.not_run for block in exempted)
    assert not [b.where for b in exempted if b.language == "text"], "text is never run"
