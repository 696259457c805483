"""For every rule that all plugins keep, a plugin that breaks it and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llem_core.contracts import (
    Availability,
    BackendSection,
    BackendSpec,
    CheckReport,
    Workload,
)
from llem_core.testing import (
    BackendContract,
    FakePlugin,
    ScriptedBackend,
    run_contract,
    scripted_backend,
)
from llem_core.testing.conformance import checks_of
from pydantic import ConfigDict, Field, field_validator

GOOD = """
from llem_core.contracts import hookimpl
from llem_core.testing import scripted_backend
LLEM_CONTRACT = 2
@hookimpl
def llem_backends():
    return [scripted_backend()]
"""


class Acts(ScriptedBackend):
    """Does something at its load, and keeps every other rule."""

    act: Callable[[], object]

    def load(self) -> Any:
        type(self).act()
        return super().load()


def acting(act: Callable[[], object]) -> BackendSpec:
    return scripted_backend(create=type("Acts", (Acts,), {"act": staticmethod(act)}))


class Undescribed(BackendSection):
    size: int = 1


class Doubling(BackendSection):
    size: int = Field(1, description="Size.")

    @field_validator("size")
    @classmethod
    def _double(cls, value: int) -> int:
        return value * 2


class Lenient(BackendSection):
    model_config = ConfigDict(extra="ignore")


class Plain(ScriptedBackend):
    """A scripted backend whose section is another's."""

    def __init__(self, workload: Workload) -> None:
        from llem_core.testing import ScriptedConfig

        super().__init__(replace(workload, section=ScriptedConfig()))


def with_section(section: type[BackendSection]) -> BackendSpec:
    return BackendSpec("scripted", "Scripted.", section, Plain, lambda _: CheckReport())


def telling(answer: Callable[[], Any]) -> BackendSpec:
    return replace(scripted_backend(), availability=answer)


def fail() -> Availability:
    raise OSError("the driver is gone")


def dawdle() -> Availability:
    time.sleep(0.06)
    return Availability(True, "ready")


def scripted_backend_of_this_test() -> BackendSpec:
    return scripted_backend("of_this_test")


def long_thread() -> None:
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()


CHILDREN: list[subprocess.Popen[bytes]] = []


def zombie() -> None:
    CHILDREN.append(subprocess.Popen([sys.executable, "-S", "-c", ""]))


def spoil_environment() -> None:
    os.environ["TRIED_BY_A_TEST"] = str(time.monotonic_ns())


def spoil_handler() -> None:
    signal.signal(signal.SIGHUP, lambda *_: None)


def spoil_path() -> None:
    sys.path.insert(0, "/left/by/a/plugin")


WRONG: list[tuple[str, BackendSpec]] = [
    ("P1", scripted_backend(name="auto")),
    ("P3", replace(scripted_backend(), summary="")),
    ("P3", replace(scripted_backend(), summary="two\nlines")),
    ("P4", with_section(Undescribed)),
    ("P5", with_section(Doubling)),
    ("P6", with_section(Lenient)),
    ("P7", telling(lambda: Availability(True, ""))),
    ("P7", telling(lambda: Availability(True, "first\nsecond"))),
    ("P7", telling(dawdle)),
    ("P9", acting(lambda: print("hello"))),
    ("P9", acting(lambda: os.write(2, b"hello\n"))),
    ("P9", acting(lambda: subprocess.run([sys.executable, "-S", "-c", "print(1)"], check=True))),
    ("P10", acting(long_thread)),
    ("P11", acting(zombie)),
    ("P12", acting(spoil_environment)),
    ("P12", acting(spoil_handler)),
    ("P12", acting(spoil_path)),
]
BY_MODULE = [
    ("P2", GOOD.replace("LLEM_CONTRACT = 2", "LLEM_CONTRACT = 7"), ["P1", "P2"]),
    ("P8", "import numpy\n" + GOOD, ["P8"]),
    ("P8", "sum(range(2 * 10**7))\n" + GOOD, ["P8"]),
    ("P9", "print('hello')\n" + GOOD, ["P9"]),
]


def failures(**given: Any) -> list[str]:
    tried = type("Tried", (BackendContract,), {"missing_model": None, **given})
    return [code for code, o in run_contract(tried).items() if o.state == "failed"]


@pytest.fixture(autouse=True)
def _as_before() -> Any:
    handler, environment = signal.getsignal(signal.SIGHUP), dict(os.environ)
    path = list(sys.path)
    yield
    sys.path[:] = path
    signal.signal(signal.SIGHUP, handler)
    os.environ.clear()
    os.environ.update(environment)
    while CHILDREN:
        CHILDREN.pop().wait()


@pytest.mark.parametrize(("code", "spec"), WRONG, ids=[code for code, _ in WRONG])
def test_the_wrong_plugin_breaks_its_rule_and_no_other(code: str, spec: BackendSpec) -> None:
    assert failures(spec=spec, availability_limit_s=0.05) == [code]


@pytest.mark.parametrize(
    ("spoil", "culprit"),
    [
        (spoil_path, "sys.path was changed: '/left/by/a/plugin' was added"),
        (spoil_handler, "the handler of SIGHUP was changed from "),
        (lambda: os.chdir("/"), "the working directory was changed from "),
    ],
)
def test_what_a_plugin_changed_is_named(
    spoil: Callable[[], None], culprit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tried = type("Tried", (BackendContract,), {"missing_model": None, "spec": acting(spoil)})
    assert culprit in run_contract(tried)["P12"].message


def test_an_availability_that_raises_is_broken() -> None:
    assert "P7" in failures(spec=telling(fail))


@pytest.mark.parametrize(("code", "text", "broken"), BY_MODULE)
def test_the_wrong_module(
    code: str, text: str, broken: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"wrong_{code.lower()}_{len(text)}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert failures(plugin=name, import_ratio=0.5) == broken
    sys.modules.pop(name)


def test_every_rule_has_a_wrong_plugin() -> None:
    codes = {rule.code for _, rule in checks_of(BackendContract) if rule.code.startswith("P")}
    assert codes == {code for code, *_ in [*WRONG, *BY_MODULE]}


def test_plugin_may_be_an_object_and_spec_a_function() -> None:
    assert failures(plugin=FakePlugin(backends=[scripted_backend()])) == []
    assert failures(spec=scripted_backend_of_this_test) == []


def test_what_an_engine_sets_for_itself_can_be_allowed() -> None:
    allowed = frozenset({"TRIED_BY_A_TEST"})
    assert failures(spec=acting(spoil_environment), may_set=allowed) == []


def test_a_contract_class_set_up_wrongly_says_so() -> None:
    class Nothing(BackendContract):
        pass

    class Several(BackendContract):
        plugin = FakePlugin(backends=[scripted_backend("one"), scripted_backend("two")])

    with pytest.raises(TypeError, match="neither `spec` nor `plugin`"):
        Nothing().test_p3_summary_told()
    with pytest.raises(TypeError, match="offers one, two; set `name`"):
        Several().test_p3_summary_told()
    Several.name = "two"
    Several().test_p3_summary_told()


def test_a_failure_names_rule_breach_and_paragraph() -> None:
    tried = type("Tried", (BackendContract,), {"spec": replace(scripted_backend(), summary="")})
    with pytest.raises(AssertionError) as caught:
        tried().test_p3_summary_told()
    assert str(caught.value).startswith("P3 summary-told: the summary is empty. To mend it: ")
    assert str(caught.value).endswith("docs/plugins/conformance.md#p3-summary-told")
