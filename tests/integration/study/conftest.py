"""Studies over a plugin that is really installed, so that their processes find it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llem_core.plugins import Plugins, use_plugins

HERE = Path(__file__).parent
SHIPPED = "llem-pytorch,llem-energy-nvml,llem-energy-zeus,llem-energy-codecarbon"

Study = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin's distribution, as an installer lays it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(HERE / "studious_plugin.py", folder)
    info = folder / "llem_studious-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llem-studious\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[llem]\nstudious = studious_plugin\n")
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The plugin is installed, here and in every process that is started."""
    monkeypatch.setenv("LLEM_DISABLE_PLUGINS", SHIPPED)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    plugins = Plugins()
    plugins.load_installed()
    with use_plugins(plugins):
        yield site


@pytest.fixture
def study() -> Study:
    """Makes what a study file holds; ``execution`` has no gaps unless it is given any."""

    def make(
        sweep: dict[str, Any] | None = None,
        execution: dict[str, Any] | None = None,
        **studious: Any,
    ) -> dict[str, Any]:
        return {
            "name": "study",
            "model": "any",
            "backend": "studious",
            "n": 2,
            "energy": {"sampler": None},
            "warmup": {"enabled": False},
            "studious": studious,
            **({"sweep": sweep} if sweep else {}),
            "execution": {
                "config_gap_seconds": 0,
                "cycle_gap_seconds": 0,
                **(execution or {}),
            },
        }

    return make
