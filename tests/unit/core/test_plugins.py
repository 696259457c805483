from __future__ import annotations

import sys
import threading
from dataclasses import replace
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import pytest
from llem_core.contracts import (
    Availability,
    BackendSection,
    BackendSpec,
    CheckReport,
    hookimpl,
)
from llem_core.errors import PluginError
from llem_core.events import ExperimentStarted
from llem_core.plugins import Plugins
from llem_core.plugins.problems import ask_availability
from llem_core.testing import FakePlugin, ScriptedBackend, scripted_backend, scripted_sampler

GOOD = """
from llem_core.testing import scripted_backend
from llem_core.contracts import hookimpl
LLEM_CONTRACT = 2
@hookimpl
def llem_backends():
    return [scripted_backend("{name}")]
"""


def install(folder: Path, name: str, code: str) -> None:
    """What pip leaves behind: a module and its distribution's metadata."""
    (folder / f"{name}_plugin.py").write_text(code)
    info = folder / f"llem_{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: llem-{name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[llem]\n{name} = {name}_plugin\n")


def load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.syspath_prepend(str(folder))
    points: list[EntryPoint] = []
    for distribution in distributions(path=[str(folder)]):
        points.extend(distribution.entry_points)
    plugins = Plugins()
    plugins.load_installed(points)
    for point in points:
        sys.modules.pop(point.module, None)
    return plugins


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import does_not_exist_anywhere\n", "does_not_exist_anywhere"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("x = 1\n", "does not declare its contract"),
        (GOOD.format(name="broken").replace("CONTRACT = 2", "CONTRACT = 99"), "contract 99"),
        (GOOD.format(name="Bad Name"), "lower-case"),
        (GOOD.format(name="energy"), "reserved"),
        (GOOD.format(name="x").replace("[scripted_backend", "[print"), "NoneType"),
        (GOOD.format(name="x").replace('[scripted_backend("x")]', "7"), "not a list"),
    ],
)
def test_a_broken_plugin_is_reported_and_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    install(tmp_path, "broken", code)
    install(tmp_path, "good", GOOD.format(name="good"))
    plugins = load(tmp_path, monkeypatch)
    assert plugins.backends.names() == ["good"]
    assert [plugin.distribution for plugin in plugins.loaded] == ["llem-good"]
    (problem,) = plugins.problems
    assert (problem.name, problem.distribution, problem.version) == ("broken", "llem-broken", "1.2")
    assert reason in problem.reason


def test_two_plugins_of_one_name_are_an_error_that_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "first", GOOD.format(name="same"))
    install(tmp_path, "second", GOOD.format(name="same"))
    plugins = load(tmp_path, monkeypatch)
    assert plugins.backends.names() == []
    with pytest.raises(PluginError, match="llem-first.* and llem-second"):
        plugins.backends.get("same")
    assert len(plugins.conflicts()) == 1


def test_a_plugin_that_prints_at_import_is_noted_and_not_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, "loud", "print('hello')\n" + GOOD.format(name="loud"))
    plugins = load(tmp_path, monkeypatch)
    assert "hello" in plugins.loaded[0].notes[0]
    assert capfd.readouterr().out == ""


def test_a_plugin_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "good", GOOD.format(name="good"))
    monkeypatch.setenv("LLEM_DISABLE_PLUGINS", "llem-good")
    plugins = load(tmp_path, monkeypatch)
    assert plugins.backends.names() == []
    assert "LLEM_DISABLE_PLUGINS" in plugins.problems[0].reason


def test_a_backend_may_not_declare_a_shared_field() -> None:
    class Greedy(BackendSection):
        precision: str = "fp32"

    spec = BackendSpec("greedy", "", Greedy, ScriptedBackend, lambda _: CheckReport())
    with pytest.raises(PluginError, match="declares precision"):
        Plugins().register(FakePlugin(backends=[spec]))


def test_an_unknown_name_is_answered_with_the_nearest_and_what_is_installed() -> None:
    plugins = Plugins()
    plugins.register(FakePlugin(backends=[scripted_backend()], samplers=[scripted_sampler()]))
    with pytest.raises(PluginError, match="did you mean 'scripted'"):
        plugins.backends.get("scripte")
    with pytest.raises(PluginError, match="pip install llem-energy-zeus"):
        plugins.samplers.get("zeus")


def test_a_plugin_that_does_not_answer_is_not_waited_for() -> None:
    answered = threading.Event()

    def hang() -> Availability:
        answered.wait(5)
        return Availability(True, "late")

    spec = replace(scripted_sampler(), availability=hang)
    told = ask_availability(spec, limit_s=0.05)
    answered.set()
    assert not told.usable
    assert told.reason == "it did not tell within 0.05 s"


def test_an_event_hook_that_raises_keeps_no_other_from_being_told() -> None:
    heard = []

    class Fails:
        LLEM_CONTRACT = 2

        @hookimpl
        def llem_experiment_started(self, event: object) -> None:
            raise SystemExit(7)

    class Hears:
        LLEM_CONTRACT = 2

        @hookimpl
        def llem_experiment_started(self) -> None:
            heard.append("with fewer arguments than there are")

    plugins = Plugins()
    for name, plugin in (("a", Fails()), ("b", Hears()), ("c", Fails()), ("d", Hears())):
        plugins.register(plugin, name)
    event = ExperimentStarted("hash", "model", "backend", 1)
    plugins.tell("llem_experiment_started", event)
    plugins.tell("llem_experiment_started", event)
    assert len(heard) == 4
    assert [problem.name for problem in plugins.event_problems] in (["a", "c"], ["c", "a"])
    assert "SystemExit: 7" in plugins.event_problems[0].reason


def test_ctrl_c_at_import_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "interrupted", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, monkeypatch)


def test_a_module_that_two_distributions_name_stays_with_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "good", GOOD.format(name="good"))
    again = tmp_path / "llem_again-1.2.dist-info"
    again.mkdir()
    (again / "METADATA").write_text("Metadata-Version: 2.1\nName: llem-again\nVersion: 1.2\n")
    (again / "entry_points.txt").write_text("[llem]\nzagain = good_plugin\n")
    plugins = load(tmp_path, monkeypatch)
    assert plugins.backends.owner("good") == "llem-good (good)"
    assert "llem-good (good), which is loaded already" in plugins.problems[0].reason
