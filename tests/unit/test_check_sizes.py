"""The check on the sizes of modules and folders, and on circles of imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_sizes.py"


def checked(root: Path, **modules: str) -> tuple[int, str]:
    """The exit code and the output for a package ``own`` with these modules."""
    folder = root / "packages" / "own" / "src" / "own"
    folder.mkdir(parents=True)
    for name, text in {"__init__": "def here() -> None: ...\n", **modules}.items():
        (folder / f"{name}.py").write_text(text)
    (root / "scripts").mkdir()
    copy = root / "scripts" / SCRIPT.name
    copy.write_bytes(SCRIPT.read_bytes())
    done = subprocess.run([sys.executable, copy], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_circle_is_named_even_where_a_function_closes_it(tmp_path: Path) -> None:
    code, told = checked(
        tmp_path,
        first="from own import second\n",
        second="from own.third import name\n",
        third="def name() -> None:\n    import own.first\n",
        fourth="from own.first import second\n",
    )
    assert code == 1
    assert "a circle of imports: own.first, own.second, own.third\n" in told


def test_what_type_checkers_import_closes_no_circle(tmp_path: Path) -> None:
    lazily = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from own import first\n"
    code, told = checked(tmp_path, first="from own import second\n", second=lazily)
    assert code == 0, told


def test_fourteen_modules_fill_a_folder(tmp_path: Path) -> None:
    code, told = checked(tmp_path / "full", **{f"m{number}": "" for number in range(14)})
    assert code == 0, told
    code, told = checked(tmp_path / "over", **{f"m{number}": "" for number in range(15)})
    assert code == 1
    assert "packages/own/src/own has 15 modules" in told
