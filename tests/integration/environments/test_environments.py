"""Experiments in a Python beside this one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llem_cli.main import execute
from llem_core.config.loader import study_from
from llem_core.contracts import LauncherSpec
from llem_core.errors import BackendError, ConfigError, ExperimentError, LLEMError, PreFlightError
from llem_core.plugins import Plugins, use_plugins
from llem_core.study.preflight import check_study
from llem_core.testing import FakePlugin, InlineLauncher, scripted_backend
from llenergymeasure import ExperimentConfig, ExperimentResult, run_experiment, run_study
from pydantic import ValidationError

from tests.integration.environments import making

Fields = Callable[..., dict[str, Any]]


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def refusal(fields: dict[str, Any], kind: type[LLEMError] = PreFlightError) -> str:
    with pytest.raises(kind) as caught:
        run_experiment(**fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_experiment_runs_in_the_environment_of_its_backends_name(
    fields: Fields, studious_python: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    result = run_experiment(
        **fields({"studious": str(studious_python)}),
        output_dir=tmp_path / "out",
        listener=lambda event: told.append(type(event).__name__),
    )
    (folder,) = (tmp_path / "out").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["requests.parquet", "result.json"]
    assert result == ExperimentResult.model_validate_json((folder / "result.json").read_text())
    assert result.environment_snapshot.environment == "studious"
    assert result.processes[0].pid != os.getpid()
    assert "environments" not in result.effective_config
    assert "PhaseChanged" in told
    assert "ExperimentFinished" in told


def test_nothing_is_written_without_a_folder(fields: Fields, studious_python: Path) -> None:
    result = run_experiment(**fields({"studious": {"python": str(studious_python)}}))
    assert result.n_requests == 2
    assert (result.requests, result.timeseries) == (None, None)


def test_its_section_is_validated_with_its_own_schema(
    fields: Fields, studious_python: Path
) -> None:
    environments = {"studious": str(studious_python)}
    with pytest.raises(ValidationError, match="tokens_per_second"):
        ExperimentConfig(**fields(environments, studious={"tokens_per_second": "many"}))
    with pytest.raises(ValidationError) as caught:
        ExperimentConfig(**fields(environments, studious={"blob_byte": 1}))
    assert [error["type"] for error in caught.value.errors()] == ["extra_forbidden"]
    sound = ExperimentConfig(**fields(environments, studious={"blob_bytes": 7}))
    assert sound.section.model_dump()["blob_bytes"] == 7
    assert sound.runs_in == "studious"


def test_the_hash_is_that_of_the_environments_own_plugin(
    fields: Fields, studious_python: Path, tmp_path: Path
) -> None:
    there = ExperimentConfig(**fields({"studious": str(studious_python)}, studious={"note": "x"}))
    site = making.studious_site(tmp_path / "here")
    sys.path.insert(0, str(site))
    try:
        plugins = Plugins()
        plugins.load_installed()
        with use_plugins(plugins):
            here = ExperimentConfig(**fields({}, studious={"note": "x"}))
            assert here.runs_in is None
    finally:
        sys.path.remove(str(site))
        sys.modules.pop("studious_plugin", None)
    assert here.measurement_config_hash == there.measurement_config_hash


def test_an_environment_is_asked_once_until_it_changes(
    fields: Fields, own_cache: Path, tmp_path: Path
) -> None:
    site = making.studious_site(tmp_path / "site")
    python = making.environment(tmp_path / "own", site)
    config = fields({"studious": str(python)})

    def ask() -> ExperimentConfig:
        plugins = Plugins()
        plugins.load_installed()
        with use_plugins(plugins):
            return ExperimentConfig(**config)

    ask()
    (kept,) = own_cache.iterdir()
    first = kept.stat().st_mtime_ns
    ask()
    assert kept.stat().st_mtime_ns == first
    plugin = site / "studious_plugin.py"
    edit(plugin, "blob_bytes: int = Field(0", "blob_bytes: int = Field(3")
    assert ask().section.model_dump()["blob_bytes"] == 3
    assert kept.stat().st_mtime_ns != first


def test_a_study_runs_each_backend_where_it_is(
    fields: Fields, studious_python: Path, tmp_path: Path
) -> None:
    content = fields(
        {"studious": str(studious_python)},
        name="both",
        backend=["scripted", "studious"],
        scripted={"batch_size": 2},
        studious={"batch_size": 2},
        execution={"n_cycles": 2, "config_gap_seconds": 0.1, "cycle_gap_seconds": 0},
    )
    plugins = Plugins()
    plugins.load_installed()
    plugins.register(FakePlugin(backends=[scripted_backend()]))
    with use_plugins(plugins):
        launcher = InlineLauncher()
        result = run_study(content, output_dir=tmp_path, launcher=launcher)
    assert result.status == "completed"
    assert [task.config["backend"] for task in launcher.tasks] == ["scripted"] * 2
    assert f"studious: a process of {studious_python}" in (
        result.measurement_protocol.process_isolation
    )
    (folder,) = tmp_path.glob("both_*")
    by_backend = {}
    for file in result.result_files:
        one = ExperimentResult.model_validate_json((folder / file).read_text())
        by_backend[one.backend] = one.environment_snapshot.environment
    assert by_backend == {"scripted": None, "studious": "studious"}


@pytest.mark.full
def test_a_study_in_an_environment_resumes_from_its_folder_alone(
    fields: Fields, studious_python: Path, tmp_path: Path
) -> None:
    content = fields(
        {"studious": str(studious_python)},
        name="again",
        sweep={"studious.fail_at": [None, "generate"]},
        execution={"config_gap_seconds": 0},
    )
    result = run_study(content, output_dir=tmp_path)
    assert (result.summary.n_completed, result.summary.n_failed) == (1, 1)
    plugins = Plugins()
    plugins.load_installed()
    with use_plugins(plugins):
        again = run_study(resume=True, output_dir=tmp_path)
    assert (again.summary.n_completed, again.summary.n_failed) == (1, 1)


def test_a_failure_there_is_told_as_it_was(fields: Fields, studious_python: Path) -> None:
    environments = {"studious": str(studious_python)}
    told = refusal(fields(environments, studious={"fail_at": "generate"}), BackendError)
    assert told == "scripted failure at generate"


@pytest.mark.full
def test_a_run_that_takes_too_long_is_killed_with_all_it_started(
    fields: Fields, studious_python: Path, tmp_path: Path
) -> None:
    config = fields({"studious": str(studious_python)}, studious={"action": "hang"})
    with pytest.raises(ExperimentError, match="TimeoutError: the experiment was not done after 3"):
        run_experiment(**config, timeout_s=3, output_dir=tmp_path / "out")
    assert left_of(studious_python) == []
    assert list((tmp_path / "out").iterdir()) == []


def left_of(python: Path) -> list[str]:
    """Command lines of the processes that an interpreter still runs."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
            if entry.name.isdigit() and line.startswith(str(python)):
                found.append(line)
    return found


def test_nothing_is_left_when_the_study_is_killed(
    fields: Fields, studious_python: Path, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    config = fields(
        {"studious": str(studious_python)}, studious={"action": "hang", "note": str(note)}
    )
    code = f"from llenergymeasure import run_experiment; run_experiment(**{config!r})"
    study = subprocess.Popen([sys.executable, "-c", code])
    deadline_s = time.monotonic() + 60
    while not note.exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert left_of(studious_python)
    study.kill()
    study.wait()
    while left_of(studious_python) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert left_of(studious_python) == []


# What is wrong with an environment is told before anything runs.


def test_an_interpreter_that_is_missing(fields: Fields, tmp_path: Path) -> None:
    told = refusal(fields({"studious": str(tmp_path / "bin/python")}))
    assert f"the environment 'studious' ({tmp_path}/bin/python) cannot be used: there is no" in told
    assert "correct environments.studious.python" in told
    (tmp_path / "bin").mkdir()
    told = refusal(fields({"studious": str(tmp_path)}))
    assert f"{tmp_path} is a folder and no interpreter, which may be {tmp_path}/bin/python" in told
    file = tmp_path / "file"
    file.write_text("")
    assert "cannot be run (Permission denied)" in refusal(fields({"studious": str(file)}))


def test_a_program_that_is_no_python(fields: Fields) -> None:
    told = refusal(fields({"studious": "/bin/false"}))
    assert "it gave no answer and ended with code 1" in told


def test_an_interpreter_that_is_too_old(fields: Fields, tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("""#!/bin/sh\necho '{"llem_environment": 1, "python": "3.9.2"}'\n""")
    old.chmod(0o755)
    told = refusal(fields({"studious": str(old)}))
    assert "its Python is 3.9.2, and llem needs 3.11 or newer" in told


def test_an_interpreter_without_llem_core(fields: Fields, tmp_path: Path) -> None:
    python = making.bare_environment(tmp_path / "bare")
    told = refusal(fields({"studious": str(python)}))
    assert "llem-core is not installed there" in told
    assert f"`{python} -m pip install llem-core==" in told


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("contracts/hookspecs.py", "CONTRACT_VERSION = 2", "CONTRACT_VERSION = 9",
         "plugin contract 2 here and 9 there"),
        ("contracts/messages.py", "PROTOCOL_VERSION = 1", "PROTOCOL_VERSION = 7",
         "protocol of runs 1 here and 7 there"),
        ("study/launch/describe.py", "import importlib.util", "import llem_core.gone",
         "which cannot be asked"),
    ],
)  # fmt: skip
def test_another_version_on_the_other_side(
    file: str, old: str, new: str, said: str, fields: Fields, tmp_path: Path
) -> None:
    core = making.other_core(tmp_path / "core", file, old, new)
    python = making.environment(tmp_path / "other", core=core)
    told = refusal(fields({"studious": str(python)}))
    assert said in told
    assert "install the same version" in told


def test_an_environment_without_the_backend(fields: Fields, tmp_path: Path) -> None:
    python = making.environment(tmp_path / "core-only")
    with pytest.raises(ValidationError) as caught:
        ExperimentConfig(**fields({"studious": str(python)}))
    told = str(caught.value)
    assert "the environment 'studious'" in told
    assert "has no backend 'studious'" in told


def test_an_environment_that_is_named_without_the_backend(fields: Fields, tmp_path: Path) -> None:
    """The backend is here, and not where it is to run."""
    python = making.environment(tmp_path / "core-only")
    plugins = Plugins()
    plugins.load_installed()
    plugins.register(FakePlugin(backends=[scripted_backend()]))
    content = fields({"other": str(python)}, environment="other", backend="scripted")
    with use_plugins(plugins), pytest.raises(ValidationError) as caught:
        ExperimentConfig(**content)
    assert "has no backend 'scripted'; its backends: none" in str(caught.value)


def test_a_name_that_is_not_defined(fields: Fields, studious_python: Path) -> None:
    with pytest.raises(ValidationError, match="there is no environment 'studios'; did you mean"):
        ExperimentConfig(**fields({"studious": str(studious_python)}, environment="studios"))


def test_names_that_clash(fields: Fields, studious_python: Path, tmp_path: Path) -> None:
    clash = {"studious": str(studious_python), "Studious": "/bin/false"}
    with pytest.raises(ValidationError, match="'studious' and 'Studious' clash"):
        ExperimentConfig(**fields(clash))
    user = tmp_path / "config" / "llenergymeasure"
    user.mkdir(parents=True)
    (user / "config.yaml").write_text("environments: {studious: {python: /bin/false}}\n")
    file = tmp_path / "e.yaml"
    file.write_text(json.dumps(fields({"studious": str(studious_python)})))
    with pytest.raises(ConfigError) as caught:
        run_experiment(file)
    assert "environments.studious is defined twice" in str(caught.value)
    assert "e.yaml:1" in str(caught.value)


def test_what_the_environment_says_of_a_study_is_told_before_it_runs(
    fields: Fields, studious_python: Path, tmp_path: Path
) -> None:
    study = study_from(
        fields(
            {"studious": str(studious_python)},
            sweep={"studious.fail_at": ["check"], "n": [1, 2, 5000]},
        )
    )
    problems = check_study(study, tmp_path).problems
    told = "; ".join(problem.text for problem in problems)
    assert "in the environment 'studious': the script says" in told
    assert "n is 5000" in told


def test_another_launcher_than_the_local_one_is_refused(
    fields: Fields, studious_python: Path, tmp_path: Path
) -> None:
    plugins = Plugins()
    plugins.load_installed()
    far = LauncherSpec("far", "Elsewhere.", lambda section: InlineLauncher())
    plugins.register(FakePlugin(launchers=[far]))
    with use_plugins(plugins):
        content = fields({"studious": str(studious_python)}, execution={"launcher": "far"})
        (problem,) = check_study(study_from(content), tmp_path).problems
    assert "in the environment studious, and execution.launcher is 'far'" in problem.text


def test_another_version_of_the_plugin_that_matters_is_a_problem(
    fields: Fields, tmp_path: Path
) -> None:
    """Both sides have the backend, and they do not resolve a configuration to the same."""
    site = making.studious_site(tmp_path / "site", "2.0")
    plugin = site / "studious_plugin.py"
    edit(plugin, "    note: str", '    new: int = Field(5, description="New.")\n    note: str')
    python = making.environment(tmp_path / "newer", site)
    here = making.studious_site(tmp_path / "here")
    sys.path.insert(0, str(here))
    try:
        plugins = Plugins()
        plugins.load_installed()
        with use_plugins(plugins):
            study = study_from(fields({"newer": str(python)}, environment="newer"))
            (problem,) = check_study(study, tmp_path).problems
    finally:
        sys.path.remove(str(here))
        sys.modules.pop("studious_plugin", None)
    assert "the environment 'newer' resolves the configuration to" in problem.text
    assert "the plugin of 'studious'" in problem.text


def test_llem_config_tells_of_each_environment(
    fields: Fields, studious_python: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    user = tmp_path / "config" / "llenergymeasure"
    user.mkdir(parents=True)
    (user / "config.yaml").write_text("environments: {gone: {python: /no/python}}\n")
    file = tmp_path / "e.yaml"
    file.write_text(json.dumps(fields({"studious": str(studious_python)})))
    assert execute(["config", str(file)]) == 0
    text = " ".join(capfd.readouterr().out.split())
    assert "Environment gone /no/python not usable there is no /no/python;" in text
    assert f"Environment studious {studious_python} python 3." in text
    assert "plugins llem-core 0.1.0, llem-studious 1.0" in text
    assert "studious usable: ready. From llem-studious 1.0." in text
    assert execute(["config", "--json"]) == 0
    (only,) = json.loads(capfd.readouterr().out)["environments"]
    assert (only["name"], only["usable"]) == ("gone", False)


def test_a_dry_run_asks_the_environment(
    fields: Fields, studious_python: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "e.yaml"
    content = fields({"studious": str(studious_python)}, studious={"fail_at": "check"})
    file.write_text(json.dumps(content))
    assert execute(["run", str(file), "--dry-run", "-o", str(tmp_path)]) == 1
    told = "in the environment 'studious': the script says that"
    assert told in " ".join(capfd.readouterr().out.split())
    file.write_text(json.dumps(content | {"sweep": {"n": [1, 2]}}))
    assert execute(["run", str(file), "--dry-run", "-o", str(tmp_path)]) == 1
    assert told in " ".join(capfd.readouterr().out.split())


@pytest.mark.full
def test_a_backend_of_the_users_own_environments(
    studious_python: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    user = tmp_path / "config" / "llenergymeasure"
    user.mkdir(parents=True)
    (user / "config.yaml").write_text(f"environments: {{studious: {studious_python}}}\n")
    run = ["run", "-m", "any", "-b", "studious", "-n", "2", "--sampler", "none", "--json"]
    off = ["--set", "baseline.enabled=false", "--set", "warmup.enabled=false"]
    assert execute([*run, *off, "-o", str(tmp_path / "out")]) == 0
    assert json.loads(capfd.readouterr().out)["environment_snapshot"]["environment"] == "studious"
