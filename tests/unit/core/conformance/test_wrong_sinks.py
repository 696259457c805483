"""For every rule of sinks, a sink that breaks it and no other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from llem_core.contracts import ResultSink, SinkSpec, write_atomically
from llem_core.testing import SinkContract, run_contract
from llem_core.testing.conformance import checks_of


class Right(ResultSink):
    """Keeps every rule."""

    def write_experiment(self, finished: Any, directory: Path) -> Sequence[Path]:
        text = json.dumps([finished.result.model, finished.result.energy_total_j])
        return [write_atomically(directory / "line.json", text.encode())]


class ReturnsText(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        return [str(path) for path in super().write_experiment(finished, directory)]


class LeavesTemporary(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        (directory / "line.json.part").write_text("half")
        return super().write_experiment(finished, directory)


class WritesInPlace(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        path = directory / "line.json"
        path.write_text(finished.result.model, encoding="utf-8")
        return [path]


class ClearsFolder(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        for path in directory.rglob("*"):
            if path.is_file() and path.name != "line.json":
                path.unlink()
        return super().write_experiment(finished, directory)


class SpoilsEarlier(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        for path in directory.parent.glob("*/line.json"):
            if path.parent != directory:
                path.write_bytes(b"")
        return super().write_experiment(finished, directory)


class NeedsEnergy(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        format(finished.result.energy_total_j, ".3f")
        return super().write_experiment(finished, directory)


class Ascii(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        return [write_atomically(directory / "line.txt", finished.result.model.encode("ascii"))]


class Silent(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        try:
            return super().write_experiment(finished, directory)
        except OSError:
            return [directory / "line.json"]


class Exits(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        if not directory.exists():
            raise SystemExit(1)
        return super().write_experiment(finished, directory)


class Edits(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        finished.result.measurement_warnings.append("edited")
        return super().write_experiment(finished, directory)


class Once(Right):
    def write_experiment(self, finished: Any, directory: Path) -> Any:
        if (directory / "line.json").exists():
            raise FileExistsError("line.json")
        return super().write_experiment(finished, directory)


class LosesStudy(Right):
    def write_study(self, finished: Any, directory: Path) -> Any:
        return [directory / "rows.csv"]


class NeedsEveryResult(Right):
    def write_study(self, finished: Any, directory: Path) -> Any:
        return [run.result_file.resolve() for run in finished.runs]


class Rows(Right):
    def write_study(self, finished: Any, directory: Path) -> Any:
        rows = [run.result_file.read_text() for run in finished.runs if run.result_file]
        return [write_atomically(directory / "rows.txt", "\n".join(rows).encode())]


WRONG = [
    ("R1", ReturnsText),
    ("R2", LeavesTemporary),
    ("R3", WritesInPlace),
    ("R4", ClearsFolder),
    ("R4", SpoilsEarlier),
    ("R5", NeedsEnergy),
    ("R6", Ascii),
    ("R7", Silent),
    ("R7", Exits),
    ("R8", Edits),
    ("R9", Once),
    ("R10", LosesStudy),
    ("R10", NeedsEveryResult),
]


def contract(kind: type[ResultSink]) -> type[SinkContract]:
    # This module, which the kit imports anew, imports pytest.
    given = {"spec": SinkSpec("line", "One line.", kind), "import_ratio": 9.0}
    return type("Tried", (SinkContract,), given)


@pytest.mark.parametrize(("code", "kind"), WRONG)
def test_the_wrong_sink_breaks_its_rule_and_no_other(code: str, kind: type[ResultSink]) -> None:
    outcomes = run_contract(contract(kind))
    assert [code for code, o in outcomes.items() if o.state == "failed"] == [code]


@pytest.mark.parametrize("kind", [Right, Rows])
def test_the_right_sink_breaks_none(kind: type[ResultSink]) -> None:
    outcomes = run_contract(contract(kind))
    assert {code: o.message for code, o in outcomes.items() if o.state == "failed"} == {}


def test_every_rule_has_a_wrong_sink() -> None:
    codes = {rule.code for _, rule in checks_of(SinkContract) if rule.code.startswith("R")}
    assert codes == {code for code, _ in WRONG}
