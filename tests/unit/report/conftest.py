"""Made-up results of each kind, written once."""

from __future__ import annotations

from pathlib import Path

import pytest
from llem_report.testing.__main__ import make


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder of results of each kind."""
    folder = tmp_path_factory.mktemp("kinds")
    make(folder)
    return folder
