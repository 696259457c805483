"""``llem run --dry-run``: checks everything, starts and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from llem_cli.main import execute
from llem_core.contracts import Availability, CheckReport, InferenceBackend, Workload
from llem_core.plugins import Plugins
from llem_core.testing import ScriptedSampler, scripted_backend, scripted_sampler

WithPlugins = Callable[..., AbstractContextManager[Plugins]]
DRY = ["run", "-m", "any", "-b", "scripted", "-n", "4", "--dry-run"]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def row(text: str, label: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(f"  {label} ")]
    return found.removeprefix(f"  {label} ").strip()


def test_starts_loads_and_writes_nothing(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    def create(workload: Workload) -> InferenceBackend:
        raise AssertionError("it made the backend")

    started: list[ScriptedSampler] = []
    with with_plugins(
        backends=[scripted_backend(create=create)], samplers=[scripted_sampler(created=started)]
    ):
        assert execute(DRY) == 0
    assert started == []
    assert list(Path().iterdir()) == []
    assert capfd.readouterr().out.startswith("Dry run")


def test_tells_what_would_be_measured(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    report = CheckReport(memory_estimate_bytes=2**20, memory_available_bytes=2**30, notes=("Hi.",))
    with with_plugins(backends=[scripted_backend(report=report)], samplers=[scripted_sampler()]):
        assert execute([*DRY, "--batch-size", "3", "--set", "warmup.thermal_floor_seconds=5"]) == 0
    out = capfd.readouterr().out
    assert row(out, "model") == "any"
    assert row(out, "prompts") == "4 of bundled"
    assert row(out, "scripted.batch_size") == "3"
    assert row(out, "memory") == "about 1.00 MiB needed, 1.00 GiB free"
    assert row(out, "energy") == "scripted_meter: scripted"
    assert row(out, "waits").startswith("1 min 05 s")
    assert "  - Hi." in out


def test_hash_is_that_of_the_run(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    with with_plugins():
        assert execute([*DRY, "--json"]) == 0
        planned = json.loads(capfd.readouterr().out)
        assert execute([*DRY[:-1], "--json"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert planned["measurement_config_hash"] == result["measurement_config_hash"]


def test_no_baselines_to_wait_for_without_a_sampler(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    blind = scripted_sampler(available=Availability(False, "no meter here"))
    with with_plugins(samplers=[blind]):
        assert execute(DRY) == 0
    out = capfd.readouterr().out
    assert row(out, "energy").startswith("not measured")
    assert row(out, "samplers not usable") == "scripted_meter: no meter here"
    assert row(out, "waits").startswith("0 s")


class TestProblems:
    def test_all_at_once_and_exit_1(
        self, with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
    ) -> None:
        Path("taken").write_text("")
        blind = scripted_sampler(available=Availability(False, "no meter here"))
        with with_plugins(samplers=[blind]):
            assert (
                execute(
                    [
                        *(*DRY, "--sampler", "scripted_meter", "-o", "taken"),
                        *("--set", "scripted.fail_at=check"),
                    ]
                )
                == 1
            )
        problems = capfd.readouterr().out.split("Problems\n")[1]
        assert problems.count("  - ") == 3
        assert "the script says that this cannot run" in problems
        assert "no meter here" in problems
        assert "taken cannot be written" in problems

    def test_too_little_memory(
        self, with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
    ) -> None:
        report = CheckReport(memory_estimate_bytes=2**31, memory_available_bytes=2**30)
        with with_plugins(backends=[scripted_backend(report=report)]):
            assert execute(DRY) == 1
        assert "2.00 GiB of memory are needed" in capfd.readouterr().out

    def test_a_configuration_that_cannot_be_is_exit_2(
        self, with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with with_plugins():
            assert execute([*DRY, "--set", "n=0"]) == 2
            assert execute([*DRY[:-3], "-n", "100000", "--dry-run"]) == 2
        assert capfd.readouterr().out == ""
