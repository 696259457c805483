"""``llem config``: the machine, the plugins with whether they can be used, the paths."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path

import pytest
from llem_cli import __version__
from llem_cli.main import execute
from llem_core.contracts import Availability
from llem_core.plugins import Plugins
from llem_core.testing import FakePlugin, scripted_backend, scripted_sampler

WithPlugins = Callable[..., AbstractContextManager[Plugins]]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "100")


def shown(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert execute(["config", *arguments]) == 0
    return capfd.readouterr().out


def test_plugins_with_whether_and_why(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    blind = scripted_sampler(available=Availability(False, "no meter here."))
    with with_plugins(samplers=[blind]):
        text = shown(capfd)
    assert "  scripted              usable: ready. From scripted." in text
    assert "  scripted_meter        not usable: no meter here. From scripted." in text
    assert "  json                  usable: always on. From core-sinks." in text


def test_a_sampler_that_cannot_tell_harms_no_other(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    def explode() -> Availability:
        raise OSError("the driver is gone")

    spec = scripted_sampler(name="bad_meter")
    bad = type(spec)(spec.name, spec.summary, 5, spec.create, explode)
    with with_plugins(samplers=[bad, scripted_sampler()]):
        text = shown(capfd)
    assert "bad_meter             not usable: " in text
    assert "the driver is gone" in text
    assert "scripted_meter        usable: scripted" in text


def test_conflicts_name_both_plugins(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    with with_plugins() as plugins:
        plugins.register(FakePlugin(backends=[scripted_backend()]), "second")
        text = shown(capfd)
    assert "backend 'scripted' is claimed by scripted and second" in text


def test_paths(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    user = tmp_path / "config" / "llenergymeasure" / "config.yaml"
    with with_plugins():
        assert json.loads(shown(capfd, "--json"))["paths"] == {
            "user_config": str(user),
            "user_config_exists": False,
            "output": "results",
        }
        user.parent.mkdir(parents=True)
        user.write_text("output: elsewhere\n")
        paths = json.loads(shown(capfd, "--json"))["paths"]
    assert paths["user_config_exists"] is True
    assert paths["output"] == "elsewhere"


def test_environment(with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]) -> None:
    with with_plugins():
        environment = json.loads(shown(capfd, "--json"))["environment"]
        text = shown(capfd)
    assert environment["tool_version"] == version("llem-core")
    assert f"  python                {environment['python']}" in text
    assert "GPU-" in text or "  gpu                   none: " in text


def test_schema_has_the_plugins_sections(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    with with_plugins():
        schema = json.loads(shown(capfd, "--schema"))
    assert "token_time_s" in schema["$defs"]["ScriptedConfig"]["properties"]
    assert "scripted" in schema["properties"]


def test_version_is_that_of_the_distribution(capfd: pytest.CaptureFixture[str]) -> None:
    assert execute(["--version"]) == 0
    assert capfd.readouterr().out == f"llem {version('llem-cli')}\n"
    assert __version__ == version("llem-cli")
