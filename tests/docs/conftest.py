"""Wheels of the workspace for pages that install them, as a reader will from an index."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

INSTALLED_BY_READERS = ("llem-core", "llem-cli", "llem-energy-nvml")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheels")
    for distribution in INSTALLED_BY_READERS:
        subprocess.run(
            ["uv", "build", "--quiet", "--wheel", "--out-dir", place, "--package", distribution],
            cwd=ROOT,
            check=True,
        )
    return place
