"""Environments that share this machine's packages, with a cache of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llem_core.plugins import Plugins, use_plugins

from tests.integration.environments import making

SHIPPED = "llem-pytorch,llem-energy-nvml,llem-energy-zeus,llem-energy-codecarbon,llem-energy-dcgm"
Experiment = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def studious_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose environment has the backend ``studious``, which is not here."""
    folder = tmp_path_factory.mktemp("environments")
    return making.environment(folder / "studious", making.studious_site(folder / "site"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What environments have told is kept here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("LLEM_DISABLE_PLUGINS", SHIPPED)
    return tmp_path / "cache" / "llenergymeasure" / "environments"


@pytest.fixture(autouse=True)
def fresh_plugins(own_cache: Path) -> Iterator[Plugins]:
    """No environment has been asked yet."""
    plugins = Plugins()
    plugins.load_installed()
    with use_plugins(plugins):
        yield plugins


@pytest.fixture
def fields() -> Experiment:
    """Fields of a quick experiment in environments."""

    def make(environments: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "model": "any",
            "backend": "studious",
            "n": 2,
            "energy": {"sampler": None},
            "baseline": {"enabled": False},
            "warmup": {"enabled": False},
            "environments": environments,
            **more,
        }

    return make
