"""Engines that runs of a cycle share: services that are started anew for each cycle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from llem_core.config.loader import study_from
from llem_core.contracts import BackendSpec, CheckReport, StudyService, Workload
from llem_core.errors import BackendError, StudyError
from llem_core.plugins import Plugins, use_plugins
from llem_core.sinks import hooks as core_sinks
from llem_core.study.launch import hooks as core_launchers
from llem_core.study.plan import apply_cycles
from llem_core.testing import FakePlugin, InlineLauncher, QueueLauncher, ScriptedBackend
from llem_core.testing.backend import ScriptedConfig
from llenergymeasure import StudyResult, run_study

CONTENT: dict[str, Any] = {
    "model": "m",
    "backend": "shared",
    "n": 1,
    "baseline": {"enabled": False},
    "warmup": {"enabled": False},
    "energy": {"sampler": None},
    "sweep": {"max_output_tokens": [2, 3], "shared.engine": ["a", "b"]},
    "execution": {"n_cycles": 2, "cycle_order": "interleaved"},
}


class SharedConfig(ScriptedConfig):
    """A section whose experiments share an engine."""

    engine: str | None = None

    def shared_engine(self) -> str | None:
        return self.engine


class World:
    """What happened, in order, and what shall go wrong."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.refuses: set[str] = set()
        self.dead: set[str] = set()
        self.dies_after: str | None = None
        self.is_missed = False

    def note(self, what: str) -> None:
        self.log.append(what)
        if what == self.dies_after:
            self.dead.add(what[0])
            self.dies_after = None

    def plugins(self) -> Plugins:
        world = self

        class Engine(StudyService):
            per_cycle = True

            def __init__(self, name: str) -> None:
                self.name, self.shared = name, f"the engine {name}"

            def is_used_by(self, backend: str, workload: Workload) -> bool:
                section = workload.section
                return isinstance(section, SharedConfig) and section.engine == self.name

            def is_alive(self) -> bool:
                return self.name not in world.dead

            def last_words(self) -> str:
                return f"{self.name} ran out of memory" if self.name in world.dead else ""

            def start(self) -> Mapping[str, Any]:
                if self.name in world.refuses:
                    raise BackendError(f"{self.name} does not start")
                world.dead.discard(self.name)
                world.note(f"+{self.name}")
                return {"answers": self.name.upper()}

            def end(self) -> None:
                world.note(f"-{self.name}")

        class Using(ScriptedBackend):
            def load(self) -> Any:
                name = str(getattr(self.workload.section, "engine", None))
                told = self.workload.services[name]
                assert told["answers"] == name.upper()
                assert set(self.workload.services) == {name}, "one at a time"
                world.note(f"{name}{told['n_runs_before']}")
                if name in world.dead and world.is_missed:
                    raise BackendError("it does not answer")
                return super().load()

        spec = BackendSpec("shared", "Shares.", SharedConfig, Using, lambda _: CheckReport())
        plugins = Plugins()
        plugins.load_installed(())
        plugins.register(core_sinks, "core-sinks")
        plugins.register(core_launchers, "core-launchers")
        services = [Engine("a"), Engine("b")]
        plugins.register(FakePlugin(backends=[spec], services=services))
        return plugins


def run(world: World, output: Path, **changes: Any) -> StudyResult:
    with use_plugins(world.plugins()):
        return run_study(
            {**CONTENT, **changes}, output_dir=output, launcher=InlineLauncher(), gaps=False
        )


def test_runs_that_share_an_engine_follow_each_other_in_each_cycle() -> None:
    with use_plugins(World().plugins()):
        study = study_from(CONTENT)
        runs = apply_cycles(study.experiments, study.execution, study.study_design_hash)
    engines = [str(getattr(run.config.section, "engine", None)) for run in runs]
    assert "".join(engines) == "aabbaabb"
    assert [run.cycle for run in runs] == [1] * 4 + [2] * 4
    assert [run.position for run in runs] == list(range(1, 9))


def test_each_cycle_starts_its_engines_anew_and_one_at_a_time(tmp_path: Path) -> None:
    world = World()
    result = run(world, tmp_path)
    assert result.status == "completed"
    once = ["+a", "a0", "a1", "-a", "+b", "b0", "b1", "-b"]
    assert world.log == once * 2
    assert result.measurement_protocol.shared == ["the engine a", "the engine b"]


def test_an_engine_that_died_is_started_anew_for_the_next_run(tmp_path: Path) -> None:
    world = World()
    world.dies_after = "a0"
    assert run(world, tmp_path).status == "completed"
    assert world.log[:6] == ["+a", "a0", "-a", "+a", "a0", "-a"]


def test_a_run_that_loses_its_engine_says_what_the_engine_said_last(tmp_path: Path) -> None:
    world = World()
    world.dies_after, world.is_missed = "b0", True
    result = run(world, tmp_path)
    assert (result.summary.n_completed, result.summary.n_failed) == (7, 1)
    (told,) = tmp_path.glob("*/*.error.json")
    message = json.loads(told.read_text())["message"]
    assert message == "it does not answer; b ran out of memory"


def test_an_engine_that_does_not_start_fails_its_runs_and_no_others(tmp_path: Path) -> None:
    world = World()
    world.refuses.add("b")
    result = run(world, tmp_path)
    assert (result.summary.n_completed, result.summary.n_failed) == (4, 4)
    (folder,) = tmp_path.iterdir()
    (told, *_) = folder.glob("*.error.json")
    assert "b does not start" in told.read_text()


def test_several_slots_cannot_share(tmp_path: Path) -> None:
    with use_plugins(World().plugins()), pytest.raises(StudyError, match="2 slots"):
        run_study(CONTENT, output_dir=tmp_path, launcher=QueueLauncher(slots=2), gaps=False)
