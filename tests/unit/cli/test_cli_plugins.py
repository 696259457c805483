"""Plugins that fail in every way that they can: each is named, and the rest works."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHIPPED = (
    "llem-pytorch,llem-server,llem-energy-nvml,llem-energy-zeus,"
    "llem-energy-codecarbon,llem-energy-dcgm"
)
HEAD = "from llem_core.contracts import *\nfrom llem_core.testing import *\nLLEM_CONTRACT = 2\n"
GOOD = HEAD + "@hookimpl\ndef llem_backends():\n    return [scripted_backend('good')]\n"


def offering(specs: str, hook: str = "backends") -> str:
    return f"{HEAD}import dataclasses, time\n@hookimpl\ndef llem_{hook}():\n    return {specs}\n"


def meter(name: str, answer: str) -> str:
    changed = f"dataclasses.replace(scripted_sampler('{name}', priority=0), availability=answer)"
    return f"{answer}\n" + offering(f"[{changed}]", "samplers")


def event(text: str) -> str:
    return f"{HEAD}@hookimpl\ndef llem_experiment_started(event):\n    {text}\n"


BROKEN = {
    "raises": ("raise RuntimeError('written in a hurry')", "RuntimeError: written in a hurry"),
    "absent": (
        "try:\n    import no_such_library.deep\nexcept ImportError as error:\n"
        "    raise RuntimeError('it needs its library') from error",
        "it needs its library, caused by ModuleNotFoundError: No module named 'no_such_library'",
    ),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "cancelled": ("import asyncio; raise asyncio.CancelledError('late')", "CancelledError: late"),
    "syntax": ("def f(:\n", "SyntaxError"),
    "undeclared": ("x = 1", "does not declare its contract"),
    "future": ("LLEM_CONTRACT = 99", "written for plugin contract 99"),
    "rubbish": (offering("7"), "llem_backends returned int, not a list"),
    "nothing": (offering("[None]"), "returned a NoneType where a BackendSpec belongs"),
    "number": (offering("[scripted_backend(7)]"), "whose name is 7, not str"),
    "priority": (
        offering("[scripted_sampler('p', priority='high')]", "samplers"),
        "whose priority is 'high'",
    ),
    "uncallable": (
        offering("[scripted_backend('u', create=None)]"),
        "the create of 'u' cannot be called",
    ),
    "half": (
        offering("[scripted_backend('half'), scripted_backend('energy')]"),
        "'energy' is reserved",
    ),
    "arguments": (
        HEAD + "@hookimpl\ndef llem_experiment_started(event, extra): pass",
        "llem_experiment_started takes no argument 'extra'",
    ),
    "hookfails": (HEAD + "@hookimpl\ndef llem_sinks():\n    return 1 / 0", "ZeroDivisionError"),
}
ODD = {
    "good": GOOD,
    "loud": "print('hello from import')\n" + offering("[scripted_backend('loud')]"),
    "typo": HEAD + "@hookimpl\ndef llem_backend(): pass",
    "slow": "import time; time.sleep(1.2)\n" + offering("[scripted_backend('slow')]"),
    "first": offering("[scripted_backend('same')]"),
    "second": offering("[scripted_backend('same')]"),
    "explodes": meter("explodes", "def answer(): raise OSError('the driver is gone')"),
    "chatters": meter("chatters", "def answer(): print('noise'); return Availability(True, 'on')"),
    "mumbles": meter("mumbles", "def answer(): return 'yes'"),
    "unbuildable": HEAD
    + "class Odd(Section):\n    value: 'NoSuchType'\n"
    + "@hookimpl\ndef llem_sinks():\n    return [SinkSpec('odd', 'Odd.', MemorySink, Odd)]\n",
    "listens": event("raise ValueError('not today')"),
    "leaves": event("raise SystemExit(4)"),
}


def install(folder: Path, name: str, code: str, points: str | None = None) -> Path:
    """Lay a distribution named ``lab-<name>`` into a folder, as an installer does."""
    (folder / f"{name}_plugin.py").write_text(code)
    info = folder / f"lab_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lab-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points or f"[llem]\n{name} = {name}_plugin\n")
    return info


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for name, (code, _) in BROKEN.items():
        install(folder, name, code)
    for name, code in ODD.items():
        install(folder, name, code)
    install(folder, "attribute", HEAD, "[llem]\nattribute = attribute_plugin:nowhere\n")
    install(folder, "again", GOOD, "[llem]\nagain = good_plugin\n")
    install(folder, "malformed", GOOD, "[llem]\nno equals sign here\n")
    (install(folder, "binary", GOOD) / "entry_points.txt").write_bytes(b"[llem]\n\xff\xfe = x\n")
    (install(folder, "nameless", offering("[scripted_backend('nameless')]")) / "METADATA").unlink()
    return folder


Llem = Callable[..., subprocess.CompletedProcess[str]]


def run_llem(site: Path, here: Path, *arguments: str, **variables: str) -> Any:
    program = "import sys; from llem_cli.main import main; sys.exit(main())"
    own = {
        "PYTHONPATH": str(site),
        "XDG_CONFIG_HOME": str(here),
        "LLEM_DISABLE_PLUGINS": SHIPPED,
        "COLUMNS": "400",
    }
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=here,
        env={**os.environ, **own, **variables},
    )


@pytest.fixture
def llem(site: Path, tmp_path: Path) -> Llem:
    return functools.partial(run_llem, site, tmp_path)


@pytest.fixture(scope="module")
def told(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``llem config --json``, once for all tests."""
    done = run_llem(site, tmp_path_factory.mktemp("here"), "config", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["plugins"]


def broken(told: Any, name: str) -> Any:
    (found,) = [problem for problem in told["broken"] if problem["name"] == name]
    return found


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_told_with_distribution_version_and_reason(told: Any, name: str) -> None:
    problem = broken(told, name)
    assert (problem["distribution"], problem["version"]) == (f"lab-{name}", "1.0")
    assert BROKEN[name][1] in problem["reason"]
    assert "\n" not in problem["reason"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("attribute", "there is no 'nowhere' in that module"),
        ("good", "the same module as that of lab-again (again)"),
        ("lab-malformed", "entry_points.txt cannot be read"),
        ("lab-binary", "entry_points.txt cannot be read"),
        ("odd", "its section Odd cannot be used"),
    ],
)
def test_broken_metadata_and_sections_are_told(told: Any, name: str, reason: str) -> None:
    problem = broken(told, name)
    assert problem["distribution"].startswith("lab-")
    assert problem["version"] == "1.0"
    assert reason in problem["reason"]


def test_nothing_else_is_broken_and_the_rest_is_offered(told: Any) -> None:
    names = {problem["name"] for problem in told["broken"] if "off by" not in problem["reason"]}
    assert names == {*BROKEN, "attribute", "good", "lab-malformed", "lab-binary", "odd"}
    backends = {backend["name"]: backend["owner"] for backend in told["backends"]}
    assert backends == {
        "good": "lab-again 1.0",
        "loud": "lab-loud 1.0",
        "nameless": "lab_nameless 1.0",
        "slow": "lab-slow 1.0",
    }
    assert [sink["name"] for sink in told["sinks"]] == ["csv", "json", "odd", "parquet"]
    assert told["conflicts"] == [
        "backend 'same' is claimed by lab-first (first) and lab-second (second)"
    ]


def test_oddities_are_noted_with_distribution_and_version(told: Any) -> None:
    notes = "\n".join(told["notes"])
    assert "loud of lab-loud 1.0 printed at import: 'hello from import'" in notes
    assert "typo of lab-typo 1.0 implements llem_backend, which is no hook; did you mean" in notes
    assert re.search(r"slow of lab-slow 1\.0 took \d", notes)


def test_a_meter_that_cannot_tell_is_not_usable(told: Any) -> None:
    meters = {meter["name"]: (meter["usable"], meter["reason"]) for meter in told["samplers"]}
    usable, reason = meters["explodes"]
    assert not usable
    assert "OSError: the driver is gone" in reason
    usable, reason = meters["mumbles"]
    assert not usable
    assert "it returned str, not an Availability" in reason
    assert meters["chatters"] == (True, "on (asked, it printed 'noise')")


def test_the_text_has_every_reason_and_the_schema_works(llem: Llem) -> None:
    text = " ".join(llem("config").stdout.split())  # long reasons are wrapped
    for name, (_, reason) in BROKEN.items():
        assert f"lab-{name} 1.0" in text
        assert reason in text
    schema = json.loads(llem("config", "--schema").stdout)
    assert "good" in schema["properties"]
    assert "odd" not in schema["properties"]


def test_a_run_goes_on_and_tells_of_all(llem: Llem) -> None:
    done = llem("run", "-m", "any", "-b", "good", "-n", "2", "--sampler", "none", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["backend"] == "good"
    assert "Note: the plugin raises of lab-raises 1.0 cannot be used" in done.stderr
    assert "listens of lab-listens 1.0: it failed in llem_experiment_started" in done.stderr
    assert "ValueError: not today" in done.stderr
    assert "leaves of lab-leaves 1.0: it failed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.full
def test_a_studys_workers_tell_of_them_too_and_it_is_shown_once(llem: Llem) -> None:
    done = llem(
        *("run", "-m", "any", "-b", "good", "-n", "2", "--sampler", "none"),
        *("--cycles", "2", "--no-gaps", "--json"),
    )
    assert done.returncode == 0, done.stderr
    told = "Note: the plugin listens of lab-listens 1.0: it failed in llem_experiment_started"
    assert done.stderr.count(told) == 1
    assert "Traceback" not in done.stderr


def test_using_what_is_broken_names_it(llem: Llem) -> None:
    common = ("run", "-m", "any", "-n", "1", "--sampler", "none")
    done = llem(*common, "-b", "same")
    assert done.returncode == 2
    assert "claimed by lab-first (first) and lab-second (second)" in done.stderr
    done = llem(*common, "-b", "good", "--set", "odd.value=1")
    assert done.returncode == 2
    assert "the section 'odd' cannot be used, by a mistake of the plugin" in done.stderr


def test_plugins_are_turned_off_by_either_name_and_unknown_names_are_told(llem: Llem) -> None:
    off = f"{SHIPPED},lab_loud,slow,lab-nothere,LAB.First"
    told = json.loads(llem("config", "--json", LLEM_DISABLE_PLUGINS=off).stdout)["plugins"]
    names = {p["name"] for p in told["broken"] if p["reason"] == "off by LLEM_DISABLE_PLUGINS"}
    assert {"loud", "slow", "first", "pytorch"} <= names
    assert {backend["name"] for backend in told["backends"]} == {"good", "nameless", "same"}
    assert told["conflicts"] == []
    (note,) = [note for note in told["notes"] if "LLEM_DISABLE_PLUGINS" in note]
    assert note.startswith("LLEM_DISABLE_PLUGINS names 'lab-nothere', which is no installed plugin")
