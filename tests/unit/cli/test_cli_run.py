"""``llem run`` in this process, over scripted plugins."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from llem_cli.main import execute
from llem_core.plugins import Plugins
from llem_core.results.experiment import ExperimentResult
from llem_core.testing import scripted_sampler

WithPlugins = Callable[..., AbstractContextManager[Plugins]]
RUN = ["run", "-m", "any", "-b", "scripted", "-n", "4", "--set", "baseline.enabled=false"]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LLEM_OUTPUT", raising=False)


def written(folder: Path) -> list[ExperimentResult]:
    files = sorted(folder.glob("*/result.json"))
    return [ExperimentResult.model_validate_json(file.read_text()) for file in files]


def measured(arguments: list[str]) -> ExperimentResult:
    assert execute([*RUN, *arguments]) == 0
    (result,) = written(Path("results"))
    return result


@pytest.mark.usefixtures("scripted")
class TestFlags:
    def test_every_flag_reaches_the_result(self) -> None:
        result = measured(
            [
                *("-d", "synthetic", "--batch-size", "2", "--precision", "bf16"),
                *("--sampler", "none", "--set", "max_output_tokens=3"),
            ]
        )
        effective = result.effective_config
        assert result.model == "any"
        assert result.backend == "scripted"
        assert effective["dataset"]["source"] == "synthetic"
        assert effective["scripted"]["batch_size"] == 2
        assert effective["precision"] == "bf16"
        assert effective["energy"]["sampler"] is None
        assert result.output_tokens_per_request == [3, 3, 3, 3]

    def test_set_reads_yaml(self) -> None:
        result = measured(["--set", "scripted.gpu_uuids=[GPU-1, GPU-2]"])
        assert result.effective_config["scripted"]["gpu_uuids"] == ["GPU-1", "GPU-2"]

    def test_flags_win_over_environment_and_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("f.yaml").write_text("model: filed\nn: 7\nmax_input_tokens: 11\nprecision: fp16\n")
        monkeypatch.setenv("LLEM_N", "8")
        monkeypatch.setenv("LLEM_PRECISION", "fp32")
        assert execute(["run", "f.yaml", "-b", "scripted", "-n", "4"]) == 0
        (result,) = written(Path("results"))
        assert result.model == "filed"
        assert result.n_requests == 4
        assert result.effective_config["precision"] == "fp32"
        assert result.effective_config["max_input_tokens"] == 11

    def test_flags_win_over_the_backends_own_section(self) -> None:
        Path("f.yaml").write_text(
            "model: filed\nbackend: scripted\nscripted: {n: 7, precision: fp16}\n"
        )
        assert execute(["run", "f.yaml", "-n", "4", "--set", "precision=bf16"]) == 0
        (result,) = written(Path("results"))
        assert result.n_requests == 4
        assert result.effective_config["precision"] == "bf16"

    def test_batch_size_goes_to_the_backend_that_the_file_names(self) -> None:
        Path("f.yaml").write_text("model: filed\nbackend: scripted\nn: 4\n")
        assert execute(["run", "f.yaml", "--batch-size", "4"]) == 0
        (result,) = written(Path("results"))
        assert result.effective_config["scripted"]["batch_size"] == 4

    def test_quickstart_without_a_model(self) -> None:
        assert execute(["run", "-b", "scripted"]) == 0
        (result,) = written(Path("results"))
        assert result.model == "shape:tiny-llama"
        assert result.n_requests == 40


@pytest.mark.usefixtures("scripted")
class TestOutputFolder:
    def test_flag_then_variable_then_user_configuration(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = tmp_path / "config" / "llenergymeasure" / "config.yaml"
        config.parent.mkdir(parents=True)
        config.write_text("output: from-user\n")
        assert execute(RUN) == 0
        monkeypatch.setenv("LLEM_OUTPUT", "from-variable")
        assert execute(RUN) == 0
        assert execute([*RUN, "-o", "from-flag"]) == 0
        assert [len(written(Path(f"from-{n}"))) for n in ("user", "variable", "flag")] == [1, 1, 1]
        assert not Path("results").exists()

    def test_summary_names_the_files(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert execute(RUN) == 0
        out, _ = capfd.readouterr()
        files = [line.removeprefix("  - ") for line in out.split("Files\n")[1].splitlines()]
        assert files[0].startswith("results/any_scripted_")
        assert files[0].endswith("/result.json")
        assert all(Path(file).is_file() for file in files)


def test_json_is_the_result_and_nothing_else(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    with with_plugins(samplers=[scripted_sampler()]):
        assert execute([*RUN, "--json"]) == 0
    out, _ = capfd.readouterr()
    assert ExperimentResult.model_validate_json(out) == written(Path("results"))[0]
    assert json.loads(out)["energy_source"] == "scripted_meter"


@pytest.mark.usefixtures("scripted")
class TestStderr:
    def test_nothing_on_stderr_without_a_terminal(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert execute(RUN) == 0
        assert capfd.readouterr().err == ""

    def test_unknown_variables_are_noted_unless_quiet(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LLEM_PRECISON", "fp16")
        assert execute(RUN) == 0
        err = capfd.readouterr().err
        assert err.startswith("Note: the environment variable LLEM_PRECISON sets nothing")
        assert "LLEM_PRECISION?" in err
        assert execute([*RUN, "--quiet"]) == 0
        assert capfd.readouterr().err == ""

    def test_verbose_tells_the_steps_in_order(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert execute([*RUN, "-v"]) == 0
        err = capfd.readouterr().err
        steps = ["any on scripted", "loading the model", "warming up", "measuring 4 prompts"]
        places = [err.index(step) for step in steps]
        assert places == sorted(places)
