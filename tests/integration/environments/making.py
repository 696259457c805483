"""Makes environments: another Python with llem-core and what is wanted, without a download."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import llem_core

from tests.integration.laying import lay

SITE = Path(sysconfig.get_paths()["purelib"])
CORE = Path(llem_core.__file__).parents[1]
STUDIOUS = Path(__file__).parents[1] / "study" / "studious_plugin.py"


def studious_site(folder: Path, version: str = "1.0") -> Path:
    """A folder with the distribution of the backend ``studious``, as an installer lays it."""
    return lay(folder, STUDIOUS, version)


def bare_environment(folder: Path) -> Path:
    """A Python with nothing installed; gives its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def environment(folder: Path, *also: Path, core: Path | None = None) -> Path:
    """A Python that has llem-core and what it needs, but none of the shipped plugins.

    Args:
        folder: where it is made.
        also: folders of further distributions.
        core: folder of another llem-core.
    """
    python = bare_environment(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    for entry in SITE.iterdir():
        if not entry.name.startswith(("llem", "_editable_impl_llem", "__pycache__")):
            (site / entry.name).symlink_to(entry)
    (info,) = SITE.glob("llem_core-*.dist-info")
    shutil.copytree(info, site / info.name)
    paths: Sequence[Path] = (core or CORE, *also)
    (site / "core.pth").write_text("".join(f"{path}\n" for path in paths))
    return python


def other_core(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of llem-core in which one line is another."""
    for package in ("llem_core", "llenergymeasure"):
        shutil.copytree(CORE / package, folder / package, ignore=shutil.ignore_patterns("*.pyc"))
    path = folder / "llem_core" / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return folder
