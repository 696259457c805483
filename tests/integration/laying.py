"""Lays plugins as an installer does, so that processes that are started find them."""

from __future__ import annotations

import shutil
from pathlib import Path


def lay(folder: Path, plugin: Path, version: str = "1.0") -> Path:
    """A folder with the distribution ``llem-NAME`` of the module ``NAME_plugin.py``.

    Args:
        folder: is made if it does not exist.
        plugin: the module's file.
        version: of the distribution.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(plugin, folder)
    name = plugin.stem.removesuffix("_plugin")
    info = folder / f"llem_{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: llem-{name}\nVersion: {version}\n"
    )
    (info / "entry_points.txt").write_text(f"[llem]\n{name} = {plugin.stem}\n")
    return folder
