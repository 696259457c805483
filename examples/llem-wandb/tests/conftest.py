"""Experiments measured for real, with the core's fakes for backend and meter."""

import pytest
from llem_core.plugins import Plugins, use_plugins
from llem_core.testing import FakePlugin, scripted_backend, scripted_sampler
from llenergymeasure import run_experiment

from llem_wandb import hooks

FIELDS = {
    "model": "any",
    "backend": "scripted",
    "n": 3,
    "max_output_tokens": 4,
    "baseline": {"enabled": False},
    "warmup": {"enabled": False},
    "scripted": {"token_time_s": 0.001},
}


def section_in(folder):
    return {"folder": str(folder), "project": "nights"}


@pytest.fixture(autouse=True)
def _runs_here(tmp_path, monkeypatch):
    """The client may write below the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fakes():
    plugins = Plugins()
    plugins.load_installed([])
    plugins.register(_core_sinks())
    plugins.register(FakePlugin(backends=[scripted_backend()], samplers=[scripted_sampler()]))
    plugins.register(hooks)
    with use_plugins(plugins):
        yield plugins


@pytest.fixture
def measure(fakes, tmp_path):
    """Measures an experiment whose results go to ``results/`` and `an offline folder`."""

    def measure(*, to_store=True, **fields):
        section = {"wandb": section_in(tmp_path)} if to_store else {}
        return run_experiment(**{**FIELDS, **section, **fields}, output_dir=tmp_path / "results")

    return measure


def _core_sinks():
    from importlib.metadata import entry_points

    (point,) = [p for p in entry_points(group="llem") if p.name == "core-sinks"]
    return point.load()
