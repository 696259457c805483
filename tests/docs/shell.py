"""Runs the commands of one page as a reader would: in one folder, in one terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 240
_INSTALL = re.compile(r"^ *(?:uv )?pip install (?P<what>.+?)(?: +#.*)?$")


@dataclass(frozen=True, slots=True)
class Done:
    """What a command gave: its exit status, and all that it printed."""

    status: int
    output: str


class Shell:
    """A terminal whose folder and exported variables last from command to command.

    Args:
        place: an empty folder; the page's files and results go there.
        environment: what the terminal starts with.

    Attributes:
        transcript: a file with all commands and what they printed.
    """

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        self.folder = place / "work"
        self.folder.mkdir(parents=True)
        self._state = place / "state"
        self._cwd = place / "cwd"
        self._script = place / "script"
        self._environment = environment
        self.transcript = place / "transcript.txt"

    def write(self, name: str, text: str) -> Path:
        path = self._current() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self._note(f"(writes {name})", "")
        return path

    def run(self, script: str, *, strict: bool = True) -> Done:
        """Run a script; a strict one ends at the first command that fails."""
        state = f'. "{self._state}"\n' if self._state.exists() else ""
        self._script.write_text(
            f'{state}cd "{self._current()}"\n'
            f'trap \'export -p > "{self._state}"; pwd > "{self._cwd}"\' EXIT\n'
            f"{'set -eu -o pipefail' if strict else ''}\n{script}",
            encoding="utf-8",
        )
        done = subprocess.run(
            ["bash", str(self._script)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
        output = done.stdout.decode(errors="replace")
        self._note(script, output)
        return Done(done.returncode, output)

    def python(self, program: str) -> Done:
        """Run a program that can import the modules in the current folder."""
        path = self._script.with_suffix(".py")
        path.write_text(program, encoding="utf-8")
        return self.run(f'python -c "$(cat "{path}")"\n')

    def _note(self, script: str, output: str) -> None:
        """Keep what was done, for people to read afterwards."""
        shown = "".join(f"$ {line}\n" for line in script.strip().splitlines())
        with self.transcript.open("a", encoding="utf-8") as file:
            file.write(f"{shown}{output}\n")

    def _current(self) -> Path:
        if self._cwd.exists():
            return Path(self._cwd.read_text(encoding="utf-8").rstrip("\n"))
        return self.folder


def environment(place: Path, *, workspace: bool) -> dict[str, str]:
    """Variables of a reader's terminal.

    Args:
        place: a folder for configuration.
        workspace: whether `llem` and `python` are those of this workspace; otherwise the page
            makes an environment of its own.
    """
    own = {k: v for k, v in os.environ.items() if not k.startswith(("LLEM_", "VIRTUAL_ENV"))}
    here = Path(sys.executable).parent
    path = [p for p in own["PATH"].split(os.pathsep) if Path(p) != here]
    return own | {
        "PATH": os.pathsep.join([str(here), *path] if workspace else path),
        "XDG_CONFIG_HOME": str(place / "config"),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",  # what the pages show is a machine without a GPU
        "COLUMNS": "80",
        "LC_ALL": "C.UTF-8",
        # On a busy machine, threads that wait for a core would take most of the time.
        "OMP_NUM_THREADS": "1",
    }


def split_installs(script: str) -> tuple[str, list[str]]:
    """Take the lines off that install the project's own distributions, and give what they name.

    They are on no index while a change is being tested; the wheels' own check installs them.
    """
    kept, named = [], []
    for line in script.splitlines():
        found = _INSTALL.match(line)
        words = found["what"].replace("'", "").split() if found else []
        if words and all(word.startswith("llem-") for word in words):
            named += words
        else:
            kept.append(line)
    return "\n".join(kept) + "\n", named
