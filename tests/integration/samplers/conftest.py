import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Done:
    """What a script left behind."""

    told: dict
    stdout: str
    stderr: str
    files: list


@pytest.fixture
def run_script(tmp_path):
    """Run Python code in a process of its own, with an empty home, folder and temp folder.

    The code calls ``tell(**facts)`` for what the test wants to know. All warnings are shown,
    so that a quiet process is one that warned of nothing.
    """

    def run(code, argv=(), home_files=None, **environment):
        for name in ("home", "here", "temp"):
            (tmp_path / name).mkdir()
        for name, text in (home_files or {}).items():
            (tmp_path / "home" / name).write_text(text)
        told = tmp_path / "told.json"
        prelude = (
            "import json, pathlib\n"
            f"def tell(**facts): pathlib.Path({str(told)!r}).write_text(json.dumps(facts))\n"
        )
        script = tmp_path / "script.py"
        script.write_text(prelude + code)
        places = {
            "HOME": str(tmp_path / "home"),
            "TMPDIR": str(tmp_path / "temp"),
            "PYTHONWARNINGS": "default",
        }
        done = subprocess.run(
            [sys.executable, str(script), *map(str, argv)],
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
            cwd=tmp_path / "here",
            env=os.environ | places | environment,
        )
        assert done.returncode == 0, done.stderr
        left = [
            str(path.relative_to(tmp_path))
            for folder in ("home", "here", "temp")
            for path in Path(tmp_path / folder).rglob("*")
        ]
        return Done(json.loads(told.read_text()), done.stdout, done.stderr, sorted(left))

    return run
