"""``llem run`` with studies, as far as nothing is measured: flags, defaults, dry run, the cap."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from llem_cli.main import execute
from llem_cli.run import run
from llem_core.config.execution import CycleOrder, ExecutionConfig
from llem_core.config.loader import load_study_config
from llem_core.config.yaml import read_yaml
from llem_core.contracts import CheckReport, InferenceBackend, Workload
from llem_core.plugins import Plugins
from llem_core.study.plan import apply_cycles
from llem_core.study.record.checkpoint import open_study
from llem_core.testing import scripted_backend, scripted_sampler

WithPlugins = Callable[..., AbstractContextManager[Plugins]]
STUDY = """
name: batches
model: any
backend: scripted
n: 4
sweep:
  scripted.batch_size: [1, 2]
  precision: [fp32, fp16]
"""


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LLEM_OUTPUT", raising=False)
    Path("study.yaml").write_text(STUDY)
    Path("one.yaml").write_text("model: any\nbackend: scripted\nn: 4\n")


@pytest.fixture
def planned(scripted: Plugins, capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """The dry run as JSON."""

    def plan(*arguments: str) -> dict[str, Any]:
        code = execute(["run", *arguments, "--dry-run", "--json"])
        out, err = capfd.readouterr()
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    return plan


@pytest.fixture
def refused(scripted: Plugins, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What is told of a command line that is refused."""

    def told(*arguments: str, code: int = 2) -> str:
        assert execute(["run", *arguments]) == code
        out, err = capfd.readouterr()
        assert out == ""
        return " ".join(err.split())

    return told


Planned = Callable[..., dict[str, Any]]
Refused = Callable[..., str]


def test_orders_are_those_of_core() -> None:
    (order,) = [parameter for parameter in run.params if parameter.name == "order"]
    assert tuple(order.type.choices) == get_args(CycleOrder)  # type: ignore[attr-defined]


class TestExecution:
    def test_defaults_of_the_command_line(self, planned: Planned) -> None:
        plan = planned("study.yaml")
        assert plan["execution"]["n_cycles"] == 3
        assert plan["execution"]["cycle_order"] == "shuffled"
        assert plan["execution_defaults_of_llem_run"] == ["n_cycles", "cycle_order"]
        assert plan["n_runs"] == 12

    def test_the_file_wins_over_them_even_with_the_values_of_the_model(
        self, planned: Planned
    ) -> None:
        Path("study.yaml").write_text(
            f"{STUDY}execution: {{n_cycles: 1, cycle_order: sequential}}\n"
        )
        plan = planned("study.yaml")
        assert (plan["execution"]["n_cycles"], plan["n_runs"]) == (1, 4)
        assert plan["execution"]["cycle_order"] == "sequential"
        assert plan["execution_defaults_of_llem_run"] == []

    def test_variable_over_file_and_flag_over_variable(
        self, planned: Planned, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("study.yaml").write_text(f"{STUDY}execution: {{n_cycles: 7}}\n")
        monkeypatch.setenv("LLEM_EXECUTION__N_CYCLES", "5")
        assert planned("study.yaml")["execution"]["n_cycles"] == 5
        assert planned("study.yaml", "--cycles", "2")["execution"]["n_cycles"] == 2
        assert planned("-m", "any", "-b", "scripted", "--order", "sequential")["n_runs"] == 5

    def test_every_flag_arrives(self, planned: Planned) -> None:
        plan = planned(
            *("study.yaml", "--cycles", "2", "--order", "interleaved", "--no-gaps"),
            *("--timeout", "90", "--set", "execution.max_experiments=9"),
        )
        assert plan["execution"] == {
            "n_cycles": 2,
            "cycle_order": "interleaved",
            "config_gap_seconds": 0,
            "cycle_gap_seconds": 0,
            "experiment_timeout_seconds": 90,
            "max_experiments": 9,
            "block": None,
            "retries": None,
            "launcher": "local",
            "resources": {"gpus": None, "cpus": None, "memory_gib": None},
        }
        assert plan["estimate"]["gaps_s"] == 0

    def test_a_flag_wins_over_what_is_swept(self, planned: Planned) -> None:
        plan = planned("study.yaml", "--precision", "bf16", "-n", "3")
        configs = [experiment["config"] for experiment in plan["experiments"]]
        assert [(c["precision"], c["n"]) for c in configs] == [("bf16", 3)] * 2
        assert plan["merged"]

    def test_a_flag_said_twice(self, refused: Refused) -> None:
        told = refused("study.yaml", "--cycles", "2", "--set", "execution.n_cycles=3")
        assert "--cycles and --set execution.n_cycles say the same thing twice" in told

    @pytest.mark.parametrize(
        "flags", [["--cycles", "0"], ["--timeout", "0"], ["--set", "execution.n_cycles=x"]]
    )
    def test_a_value_that_cannot_be_names_its_field(
        self, refused: Refused, flags: list[str]
    ) -> None:
        assert "execution." in refused("study.yaml", *flags)
        assert "execution." in refused("-m", "any", "-b", "scripted", *flags).replace(
            "line: n_", "line: execution.n_"
        ).replace("line: experiment_", "line: execution.")


class TestStudyOfOne:
    @pytest.mark.parametrize(
        "flags",
        [
            ["--cycles", "2"],
            ["--order", "sequential"],
            ["--set", "execution.cycle_gap_seconds=1"],
            ["--set", "name=mine"],
        ],
    )
    def test_flags_that_make_one(self, planned: Planned, flags: list[str]) -> None:
        for plan in (planned("one.yaml", *flags), planned("-m", "any", "-b", "scripted", *flags)):
            assert len(plan["experiments"]) == 1
            assert plan["n_runs"] == plan["execution"]["n_cycles"]

    @pytest.mark.parametrize(
        "flags",
        [
            ["--no-gaps", "--yes"],
            ["--timeout", "9"],
            ["--set", "execution.experiment_timeout_seconds=9"],
        ],
    )
    def test_pauses_consent_and_a_time_limit_do_not(
        self, planned: Planned, flags: list[str]
    ) -> None:
        plan = planned("one.yaml", *flags)
        assert "measurement_config_hash" in plan
        assert "experiments" not in plan

    def test_quickstart(self, planned: Planned) -> None:
        plan = planned("-b", "scripted", "--cycles", "2")
        assert plan["experiments"][0]["config"]["model"] == "shape:tiny-llama"
        assert plan["study_name"] == "tiny-llama"

    def test_it_can_be_named(self, planned: Planned) -> None:
        assert planned("-b", "scripted", "--set", "name=mine")["study_name"] == "mine"
        assert planned("one.yaml", "--set", "name=mine")["study_name"] == "mine"


class TestDryRun:
    def test_it_tells_everything_and_does_nothing(
        self, with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def create(workload: Workload) -> InferenceBackend:
            raise AssertionError("it made the backend")

        report = CheckReport(memory_estimate_bytes=2**20, memory_available_bytes=2**30)
        Path("study.yaml").write_text(
            STUDY.replace("[fp32, fp16]", "[fp32, fp16, int3]").replace("[1, 2]", "[1, 2, 2]")
        )
        backend = scripted_backend(create=create, report=report)
        with with_plugins(backends=[backend], samplers=[scripted_sampler()]):
            assert execute(["run", "study.yaml", "--dry-run"]) == 0
        out, err = capfd.readouterr()
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert "combinations 9 combinations, 3 skipped, 2 merged with the same" in lines
        assert "runs 4 configurations × 3 cycles = 12 runs" in lines
        assert "order shuffled (llem run's own default of cycles and order)" in lines
        assert "memory up to 1.00 MiB needed, 1.00 GiB free" in lines
        assert "energy scripted_meter: scripted" in lines
        assert "- scripted.batch_size=2, precision=fp16" in lines
        assert any(line.startswith("wall time at least ") for line in lines)
        assert " ".join(out.split()).count("precision=int3: study.yaml:8: precision: ") == 3
        assert out.count("combinations are the same experiment") == 2
        assert err == ""
        assert sorted(path.name for path in Path().iterdir()) == ["one.yaml", "study.yaml"]

    def test_problems_of_all_at_once_and_exit_1(
        self, with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
    ) -> None:
        Path("taken").write_text("")
        arguments = ["run", "study.yaml", "-o", "taken", "--set", "scripted.fail_at=check"]
        with with_plugins():
            assert execute([*arguments, "--dry-run"]) == 1
            problems = capfd.readouterr().out.split("Problems\n")[1]
            assert problems.count("  - ") == 2
            assert execute([*arguments, "--yes"]) == 1
        err = " ".join(capfd.readouterr().err.split())
        assert "the study cannot run, for 2 reasons" in err

    def test_a_large_study_is_cut_unless_verbose(
        self, scripted: Plugins, capfd: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["run", "study.yaml", "--dry-run"]
        sizes = ", ".join(map(str, range(1, 151)))
        Path("study.yaml").write_text(STUDY.replace("[1, 2]", f"[{sizes}]"))
        assert execute(arguments) == 0
        out = capfd.readouterr().out
        assert "and 200 more; --verbose lists all" in out
        assert "above the cap of 100 runs" in out
        assert execute([*arguments, "-v"]) == 0
        assert capfd.readouterr().out.count("scripted.batch_size=") >= 300


class TestCap:
    def test_without_a_terminal_it_is_refused_with_what_to_do(self, refused: Refused) -> None:
        told = refused("study.yaml", "--cycles", "30")
        assert "120 runs to do (4 configurations × 30 cycles = 120 runs)" in told
        assert "more than the cap of 100 (execution.max_experiments)" in told
        assert "estimated wall time: at least 3 h 55 min" in told
        assert "run the same with --yes" in told
        assert not Path("results").exists()


class TestResume:
    def test_nothing_there(self, refused: Refused) -> None:
        assert "no study that has something left to do" in refused("--resume", code=1)
        assert "no study that has something left" in refused("study.yaml", "--resume", code=1)

    def test_no_such_folder(self, refused: Refused) -> None:
        assert "--resume nowhere: there is no such folder" in refused("--resume", "nowhere")

    def test_a_folder_of_something_else(self, refused: Refused) -> None:
        Path("other").mkdir()
        assert "holds no manifest.json" in refused("--resume", "other", code=1)

    def test_a_file_after_it_is_the_study(self, refused: Refused) -> None:
        assert "no study that has something" in refused("--resume", "study.yaml", code=1)


def test_a_study_is_checked_once_before_it_runs(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def check(workload: Workload) -> CheckReport:
        asked.append(workload.model)
        return CheckReport()

    spec = replace(scripted_backend(), check=check)
    with with_plugins(backends=[spec], samplers=[scripted_sampler()]):
        execute(["run", "one.yaml", "--cycles", "1"])  # its process has other plugins, and fails
    assert asked == ["any"], capfd.readouterr()


@pytest.mark.usefixtures("scripted")
class TestResumingWithItsFile:
    """What ``--resume`` does with the study's own file beside it."""

    def begun(self, **execution: Any) -> Path:
        study = load_study_config(read_yaml(Path("study.yaml")))
        changes = {"execution": ExecutionConfig(**execution)}
        study = study.model_copy(update=changes)
        directory = Path("results/begun")
        directory.mkdir(parents=True)
        runs = apply_cycles(study.experiments, study.execution, study.study_design_hash)
        open_study(study, directory, runs)
        return directory

    def test_it_goes_on_as_it_was_started(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.begun(n_cycles=5, cycle_order="interleaved", config_gap_seconds=7)
        assert execute(["run", "study.yaml", "--resume", "--dry-run", "--json"]) == 0
        told = json.loads(capfd.readouterr().out)["execution"]
        assert (told["n_cycles"], told["cycle_order"]) == (5, "interleaved")
        assert told["config_gap_seconds"] == 7

    def test_its_file_is_enough_where_the_design_is_lost(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        directory = self.begun(n_cycles=2)
        (directory / "design.json").unlink()
        assert execute(["run", "--resume", str(directory), "--dry-run"]) == 1
        assert "Name the study file as well" in capfd.readouterr().err
        words = ["run", "study.yaml", "--resume", str(directory), "--dry-run", "--json"]
        assert execute(words) == 0
        assert json.loads(capfd.readouterr().out)["execution"]["n_cycles"] == 3
