"""Studies over a plugin that is really installed, so that their processes find it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llem_core.plugins import Plugins, use_plugins

from tests.integration.laying import lay

HERE = Path(__file__).parent
SHIPPED = "llem-pytorch,llem-energy-nvml,llem-energy-zeus,llem-energy-codecarbon,llem-energy-dcgm"

Study = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin's distribution, as an installer lays it."""
    return lay(tmp_path_factory.mktemp("site"), HERE / "studious_plugin.py")


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
