"""What goes wrong: exit codes, one paragraph on stderr, nothing on stdout."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

import pytest
from llem_cli.main import execute
from llem_cli.signals import Interruption
from llem_core.contracts import Batch, InferenceBackend, ModelInfo, Workload
from llem_core.plugins import Plugins
from llem_core.testing import ScriptedBackend, scripted_backend

WithPlugins = Callable[..., AbstractContextManager[Plugins]]
RUN = ["run", "-m", "any", "-b", "scripted", "-n", "4", "--sampler", "none"]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def told(capfd: pytest.CaptureFixture[str]) -> str:
    out, err = capfd.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err


@pytest.mark.usefixtures("scripted")
class TestConfiguration:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--set", "energy.samplr=x"], "did you mean 'sampler'"),
            (["--set", "nonsense"], "there is no `=`"),
            (["--set", "n=5"], "-n and --set n say the same thing twice"),
            (["--batch-size", "2", "--set", "scripted={batch_size: 3}"], "--batch-size and"),
            (["--dataset", "absent.jsonl"], "absent.jsonl"),
            (["--precision", "fp12"], "precision"),
            (["--batch-size", "0"], "scripted.batch_size"),
        ],
    )
    def test_exit_2_and_nothing_written(
        self, arguments: list[str], expected: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert execute([*RUN, *arguments]) == 2
        err = told(capfd)
        assert err.startswith("Error: ")
        assert expected in err
        assert err.count("\n") == 1
        assert not list(Path().rglob("*.json"))

    def test_a_missing_file(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert execute(["run", "absent.yaml"]) == 2
        assert "absent.yaml: there is no such file" in told(capfd)

    def test_an_unknown_backend(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert execute(["run", "-m", "any", "-b", "scriptd"]) == 2
        assert "did you mean 'scripted'" in told(capfd)

    def test_a_study_is_known_by_its_keys(self, capfd: pytest.CaptureFixture[str]) -> None:
        Path("study.yaml").write_text("model: any\nsweep: {nn: [1, 2]}\n")
        assert execute(["run", "study.yaml"]) == 2
        assert "study.yaml:2: sweep.nn: unknown key; did you mean 'n'?" in told(capfd)

    @pytest.mark.parametrize("arguments", [["--bad"], ["-q", "-v"], ["-n", "x"]])
    def test_usage(self, arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
        assert execute([*RUN, *arguments]) == 2
        assert "Usage: llem run" in told(capfd)


@pytest.mark.usefixtures("scripted")
class TestRuns:
    def test_a_backend_that_fails(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert execute([*RUN, "--set", "scripted.fail_at=generate"]) == 1
        assert told(capfd) == "Error: scripted failure at generate\n"
        assert not Path("results").exists()

    def test_a_traceback_with_verbose_alone(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert execute([*RUN, "--set", "scripted.fail_at=load", "--verbose"]) == 1
        err = capfd.readouterr().err
        assert "Traceback" in err
        assert err.endswith("Error: scripted failure at load\n")

    def test_an_output_folder_that_is_a_file(self, capfd: pytest.CaptureFixture[str]) -> None:
        Path("taken").write_text("")
        assert execute([*RUN, "-o", "taken"]) == 1
        assert "the output folder taken cannot be written" in told(capfd)


class Interrupted(ScriptedBackend):
    """Is interrupted in ``generate``, as a terminal does it."""

    def generate(self, batch: object) -> list[tuple[int, ...]]:
        raise KeyboardInterrupt


class Disguised(ScriptedBackend):
    """Is interrupted in an import, which a library turns into an ImportError."""

    interruption = Interruption()

    def load(self) -> ModelInfo:
        self.interruption.number = 15
        raise ImportError("cannot import name 'half' from partially initialised module")


class Swallowing(ScriptedBackend):
    """Is interrupted and goes on as if nothing had been."""

    interruption = Interruption()
    went_on: ClassVar[list[str]] = []

    def load(self) -> ModelInfo:
        self.interruption.number = 2
        return super().load()

    def generate(self, batch: Batch) -> list[tuple[int, ...]]:
        self.went_on.append("generate")
        return super().generate(batch)


class TestInterruption:
    def run(
        self, with_plugins: WithPlugins, backend: type[InferenceBackend], signals: Interruption
    ) -> int:
        def create(workload: Workload) -> InferenceBackend:
            return backend(workload)

        with with_plugins(backends=[scripted_backend(create=create)]):
            return execute(RUN, signals)

    def test_ctrl_c_ends_with_130(
        self, with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(with_plugins, Interrupted, Interruption()) == 130
        assert told(capfd).strip() == "Interrupted."

    def test_one_that_became_an_import_error_is_an_interruption(
        self, with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(with_plugins, Disguised, Disguised.interruption) == 143
        assert told(capfd).strip() == "Interrupted."

    def test_one_that_was_swallowed_ends_the_run_at_the_next_step(
        self, with_plugins, capfd
    ) -> None:
        assert self.run(with_plugins, Swallowing, Swallowing.interruption) == 130
        assert told(capfd).strip() == "Interrupted."
        assert Swallowing.went_on == []


def test_anything_unexpected_is_one_paragraph(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        """Availability that returns something else."""

        usable = property(lambda self: 1 / 0)

    spec = scripted_backend()
    broken = type(spec)(spec.name, spec.summary, spec.section, spec.create, spec.check, Broken)
    with with_plugins(backends=[broken]):
        assert execute(RUN) == 1
        err = told(capfd)
    assert err.startswith("Error: ")
    assert "ZeroDivisionError" in err
    assert "--verbose" in err
    assert err.count("\n") == 1
