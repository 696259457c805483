"""For every rule of engines with processes of their own, one that breaks it and no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from llem_core.contracts import BackendSpec, Batch, ModelInfo, Workload
from llem_core.processes import EngineProcess
from llem_core.testing import BackendContract, ScriptedBackend, run_contract, scripted_backend
from llem_core.testing.conformance import checks_of

LEFT: list[EngineProcess] = []
GONE = threading.Event()


class Hosted(ScriptedBackend):
    """Keeps every rule, with an engine of two processes."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self.engines: list[EngineProcess] = []

    def load(self) -> ModelInfo:
        info = super().load()
        self.engines = [EngineProcess(["sleep", "600"], f"engine {n}") for n in range(2)]
        return replace(info, process_ids=tuple(engine.pid for engine in self.engines))

    def generate(self, batch: Batch) -> list[tuple[float, ...]]:
        for engine in self.engines:
            engine.check()
        return super().generate(batch)

    def unload(self) -> None:
        for engine in self.engines:
            engine.end()
        self.engines = []


class Hangs(Hosted):
    def generate(self, batch: Batch) -> list[tuple[float, ...]]:
        if any(not engine.is_alive() for engine in self.engines):
            GONE.wait()
        return ScriptedBackend.generate(self, batch)


class GoesOn(Hosted):
    def generate(self, batch: Batch) -> list[tuple[float, ...]]:
        return ScriptedBackend.generate(self, batch)


class RaisesForeign(Hosted):
    def generate(self, batch: Batch) -> list[tuple[float, ...]]:
        if any(not engine.is_alive() for engine in self.engines):
            raise ConnectionResetError("the other end is gone")
        return ScriptedBackend.generate(self, batch)


class UnloadsTheLivingOnly(Hosted):
    def unload(self) -> None:
        dead = [engine for engine in self.engines if not engine.is_alive()]
        super().unload()
        if dead:
            raise RuntimeError("the engine does not answer")


class LeavesTheOther(Hosted):
    def unload(self) -> None:
        dead = [engine for engine in self.engines if not engine.is_alive()]
        if dead:
            LEFT.extend(self.engines)
            self.engines = []
        super().unload()


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    GONE.set()
    while LEFT:
        LEFT.pop().end()


def failed(spec: BackendSpec) -> dict[str, str]:
    given = {"spec": spec, "missing_model": None, "death_limit_s": 0.5, "import_ratio": 100.0}
    outcomes = run_contract(type("Tried", (BackendContract,), given))
    return {code: o.message for code, o in outcomes.items() if o.state == "failed"}


WRONG = [
    ("E1", Hangs, "raised nothing in the 0.5 s after process"),
    ("E1", GoesOn, "raised nothing in the 0.5 s after process"),
    ("E1", RaisesForeign, "ConnectionResetError was raised: the other end is gone"),
    ("E2", UnloadsTheLivingOnly, "RuntimeError was raised: the engine does not answer"),
    ("E2", LeavesTheOther, "these processes are left: "),
]


# This one waits for ten seconds, in case the other process should end after all.
PATIENT = [pytest.mark.full]


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        pytest.param(*w, id=w[1].__name__, marks=PATIENT if w[1] is LeavesTheOther else [])
        for w in WRONG
    ],
)
def test_the_wrong_engine_breaks_its_rule_and_no_other(
    code: str, kind: type[Hosted], message: str
) -> None:
    found = failed(scripted_backend(create=kind))
    assert list(found) == [code]
    assert message in found[code]


def test_the_right_engine_breaks_none() -> None:
    given = {"spec": scripted_backend(create=Hosted), "missing_model": None}
    outcomes = run_contract(type("Tried", (BackendContract,), given))
    assert {code: o.message for code, o in outcomes.items() if o.state == "failed"} == {}
    assert outcomes["E1"].state == outcomes["E2"].state == "passed"


def test_every_rule_has_a_wrong_engine() -> None:
    codes = {rule.code for _, rule in checks_of(BackendContract) if rule.code.startswith("E")}
    assert codes == {code for code, *_ in WRONG}
