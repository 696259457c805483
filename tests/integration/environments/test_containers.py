"""Experiments in containers of a real Docker engine, which the project's own script starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llem_core.config.loader import study_from
from llem_core.errors import ExperimentError, OutOfMemoryError, PreFlightError
from llem_core.study.preflight import check_study
from llenergymeasure import run_experiment, run_study

from tests.integration.environments import making

SCRIPTS = Path(__file__).parents[3] / "scripts"
IMAGE = "llem-test-base"
Fields = Callable[..., dict[str, Any]]
Container = Callable[..., dict[str, Any]]

# Starting an engine and making an image takes as long as all tests of environments without one.
pytestmark = pytest.mark.full


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Docker engine with an image of this Python; the value of DOCKER_HOST."""
    folder = tmp_path_factory.mktemp("docker")
    script = ["bash", str(SCRIPTS / "docker_engine.sh")]
    started = subprocess.run(
        [*script, "start", str(folder)], capture_output=True, text=True, check=False
    )
    if started.returncode == 3:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    host = started.stdout.strip()
    try:
        made = ["bash", str(SCRIPTS / "base_image.sh"), IMAGE, sys.executable]
        subprocess.run(made, env={**os.environ, "DOCKER_HOST": host}, check=True)
        yield host
    finally:
        subprocess.run([*script, "stop", str(folder)], check=True)


@pytest.fixture
def container(engine: str, studious_python: Path, monkeypatch: pytest.MonkeyPatch) -> Container:
    """Makes an environment: the image, with this machine's packages mounted."""
    monkeypatch.setenv("DOCKER_HOST", engine)
    environment = studious_python.parents[1]
    folders = [environment, environment.with_name("site"), making.CORE, making.SITE]
    folders.append(Path(os.path.realpath(sys.executable)).parents[1])

    def make(**more: Any) -> dict[str, Any]:
        mounts = [f"{folder}:{folder}:ro" for folder in dict.fromkeys(folders)]
        return {"image": IMAGE, "python": str(studious_python), "mounts": mounts, **more}

    return make


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def containers(*which: str) -> list[str]:
    return docker("ps", *(which or ["--all"]), "--format", "{{.Names}}").split()


def test_an_experiment_runs_in_a_container_and_its_image_is_told(
    fields: Fields, container: Container, tmp_path: Path
) -> None:
    result = run_experiment(**fields({"studious": container()}), output_dir=tmp_path / "out")
    where = result.environment_snapshot
    assert where.environment == "studious"
    assert where.container.kind == "docker"
    assert where.container.image == IMAGE
    assert where.container.image_digest == docker("image", "inspect", "-f", "{{.Id}}", IMAGE)
    assert where.packages["llem-core"]
    (folder,) = (tmp_path / "out").iterdir()
    assert {path.name for path in folder.iterdir()} == {"result.json", "requests.parquet"}
    assert all(path.stat().st_uid == os.getuid() for path in folder.iterdir())
    assert containers() == []


def test_a_container_sees_nothing_but_what_is_stated(
    fields: Fields, container: Container, studious_python: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("")
    site = studious_python.parents[2] / "site"
    looking = site / "studious_plugin.py"
    before = looking.read_text()
    looking.write_text(
        before.replace(
            'print("printed by the plugin", flush=True)',
            "import json, socket; print(json.dumps({"
            f'"secret": Path({str(secret)!r}).exists(), '
            '"links": [name for _, name in socket.if_nameindex()], '
            '"uid": os.getuid(), "root": os.access("/etc", os.W_OK), '
            '"variable": os.environ.get("STATED")}), flush=True)',
        )
    )
    try:
        config = fields(
            {"studious": container(variables={"STATED": "yes"})},
            studious={"action": "print"},
            name="look",
        )
        run_study(config, output_dir=tmp_path / "out")
    finally:
        looking.write_text(before)
    (log,) = (tmp_path / "out").glob("look_*/*.log")
    seen = json.loads(log.read_text().splitlines()[0])
    assert seen == {
        "secret": False, "links": ["lo"], "uid": os.getuid(), "root": False, "variable": "yes",
    }  # fmt: skip


def test_no_container_is_left_when_the_study_is_killed(
    fields: Fields, container: Container, tmp_path: Path
) -> None:
    config = fields({"studious": container()}, studious={"action": "hang"})
    code = f"from llenergymeasure import run_experiment; run_experiment(**{config!r})"
    study = subprocess.Popen([sys.executable, "-c", code])
    deadline_s = time.monotonic() + 60
    while not docker("ps", "--filter", "name=llem-", "-q") and time.monotonic() < deadline_s:
        time.sleep(0.1)
    # The first one is asked about itself, and ends by itself.
    while not any(not n.startswith("llem-ask") for n in containers()):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    study.kill()
    study.wait()
    while containers() and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert containers() == []


def test_a_container_that_takes_too_long_is_killed(fields: Fields, container: Container) -> None:
    config = fields({"studious": container()}, studious={"action": "hang"})
    with pytest.raises(ExperimentError, match="TimeoutError"):
        run_experiment(**config, timeout_s=5)
    assert containers() == []


def test_a_container_that_is_killed_is_that_runs_failure(
    fields: Fields, container: Container, tmp_path: Path
) -> None:
    config = fields({"studious": container()}, studious={"action": "hang"}, name="killed")
    code = (
        "from llenergymeasure import run_study\n"
        f"result = run_study({config!r}, output_dir={str(tmp_path)!r})\n"
        "print(result.summary.n_failed)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as study:
        try:
            deadline_s = time.monotonic() + 60
            running = ("--filter", "status=running")
            while not (found := [n for n in containers(*running) if not n.startswith("llem-ask")]):
                assert time.monotonic() < deadline_s
                time.sleep(0.1)
            docker("kill", *found)
            out, _ = study.communicate(timeout=60)
        finally:
            study.kill()
    assert out.strip() == "1"
    (failure,) = tmp_path.glob("killed_*/*.error.json")
    told = json.loads(failure.read_text())
    assert told["error_type"] == "WorkerKilled"
    assert "memory limit of a container" in told["message"]


def test_a_container_that_runs_out_of_memory_says_so(
    fields: Fields, container: Container, tmp_path: Path
) -> None:
    config = fields({"studious": container(memory_gib=0.5)}, studious={"action": "fill"})
    with pytest.raises((ExperimentError, OutOfMemoryError)) as caught:
        run_experiment(**config, timeout_s=30)
    assert containers() == []
    if "TimeoutError" in str(caught.value):
        pytest.skip("this engine cannot limit memory: it has no control group for it")
    assert isinstance(caught.value, OutOfMemoryError)
    assert "the kernel was killing processes because memory ran out" in str(caught.value)


def test_what_is_wrong_with_a_container_is_told_before_it_runs(
    fields: Fields, container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(**changes: Any) -> str:
        with pytest.raises(PreFlightError) as caught:
            run_experiment(**fields({"studious": container(**changes)}))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "docker has no image 'no/such:1'; pull or build it first" in refusal(image="no/such:1")
    missing = tmp_path / "missing"
    assert f"its mount {missing} does not exist" in refusal(mounts=[f"{missing}:/data"])
    assert "there is no '/no/python' in the image" in refusal(python="/no/python")
    assert "llem-core is not installed there" in refusal(python="python3")
    told = refusal(gpus=["GPU-00000000-0000-0000-0000-000000000000"])
    assert "environments.studious.gpus names GPU-0" in told
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    assert "docker does not answer" in refusal()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no program 'docker' on this machine's PATH" in refusal()


def test_what_is_not_mounted_is_told_before_it_runs(
    fields: Fields, container: Container, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "one"}\n{"prompt": "two"}\n')
    study = study_from(fields({"studious": container()}, dataset=str(prompts)))
    (problem,) = check_study(study, tmp_path / "out").problems
    assert "in the environment 'studious'" in problem.text
    assert "prompts.jsonl" in problem.text
