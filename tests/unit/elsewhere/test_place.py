"""The command lines of environments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.loader import load_experiment_config
from llem_core.elsewhere.config import EnvironmentConfig, Mount
from llem_core.elsewhere.place import Command, command
from llem_core.errors import ConfigError
from pydantic import ValidationError


def started(config: dict[str, Any], **more: Any) -> Command:
    return command(EnvironmentConfig.model_validate(config), ["-m", "it"], container="c", **more)


def options(argv: tuple[str, ...], name: str) -> list[str]:
    return [argv[i + 1] for i, each in enumerate(argv) if each == name]


def test_an_interpreter_gets_this_environment_without_what_is_pythons_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    monkeypatch.setenv("SOMETHING", "kept")
    made = started({"python": "/opt/v/bin/python", "variables": {"A": "1", "SOMETHING": None}})
    assert made.argv == ("/opt/v/bin/python", "-m", "it")
    assert "PYTHONPATH" not in made.environ
    assert (made.environ["SOMETHING"], made.environ["A"]) == ("kept", "1")
    assert made.environ["PATH"].split(os.pathsep)[0] == "/opt/v/bin"
    assert made.remove == ()


def test_a_container_has_no_network_its_users_id_and_a_read_only_root(tmp_path: Path) -> None:
    made = started({"image": "i", "mounts": ["/data:/there:ro"]}, folders=[tmp_path])
    argv = made.argv
    assert argv[:5] == ("docker", "run", "--rm", "--interactive", "--name")
    assert "--read-only" in argv
    assert options(argv, "--network") == ["none"]
    assert options(argv, "--user") == [f"{os.getuid()}:{os.getgid()}"]
    assert options(argv, "--mount") == [
        f"type=bind,source={tmp_path},target={tmp_path}",
        "type=bind,source=/data,target=/there,readonly",
    ]
    assert options(argv, "--entrypoint") == ["python3"]
    assert argv[-3:] == ("i", "-m", "it")
    assert made.remove == ("docker", "rm", "--force", "c")
    assert "--gpus" not in argv


def test_gpus_are_handed_over_by_uuid() -> None:
    docker = started({"image": "i"}, gpus=["GPU-a", "GPU-b"]).argv
    assert options(docker, "--gpus") == ['"device=GPU-a,GPU-b"']
    podman = started({"image": "i", "engine": "podman"}, gpus=["GPU-a"]).argv
    assert "--device=nvidia.com/gpu=GPU-a" in podman


def test_a_secret_stands_in_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    made = started({"image": "i", "variables": {"HF_TOKEN": None, "NOT_SET": None}})
    assert "hf_secret" not in " ".join(made.argv)
    assert "HF_TOKEN" in options(made.argv, "--env")
    assert made.environ["HF_TOKEN"] == "hf_secret"
    assert "NOT_SET" not in options(made.argv, "--env")


def test_further_arguments_of_the_engine() -> None:
    made = started(
        {
            "image": "i",
            "engine": "podman",
            "engine_arguments": ["--runtime", "runc"],
            "run_arguments": ["--ulimit=nofile=1024"],
            "memory_gib": 1.5,
            "network": "host",
        }
    )
    assert made.argv[:4] == ("podman", "--runtime", "runc", "run")
    assert made.argv[-4:] == ("--ulimit=nofile=1024", "i", "-m", "it")
    assert options(made.argv, "--memory") == ["1.5g"]
    assert options(made.argv, "--network") == ["host"]


def test_a_path_with_a_comma_is_one_field(tmp_path: Path) -> None:
    made = started({"image": "i", "mounts": [f"{tmp_path}/a,b:/c"]})
    assert options(made.argv, "--mount")[0] == f'type=bind,"source={tmp_path}/a,b",target=/c'


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/a", Mount(Path("/a"), "/a", False)),
        ("/a:/b", Mount(Path("/a"), "/b", False)),
        ("/a:/b:ro", Mount(Path("/a"), "/b", True)),
        ("/a:/b:rw", Mount(Path("/a"), "/b", False)),
    ],
)
def test_mounts(text: str, mount: Mount) -> None:
    assert Mount.read(text) == mount


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "needs `python` .* or `image`"),
        ({"python": "p", "gpus": "all"}, "gpus would have no effect without `image`"),
        ({"image": "i", "mounts": ["/a:b"]}, "must be absolute, not 'b'"),
        ({"image": "i", "mounts": ["/a:/b:rx"]}, "'/a:/b:rx' is no mount"),
        ({"image": "i", "gpus": 0}, "gpus"),
        ({"image": "i", "engine": "rkt"}, "engine"),
        ({"imag": "i"}, "imag"),
        ({"python": "p", "variables": {"HF_TOKEN": "hf_x"}}, "write `HF_TOKEN: null`"),
    ],
)
def test_what_is_no_environment(content: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        EnvironmentConfig.model_validate(content)


@pytest.mark.usefixtures("scripted")
def test_a_mistake_in_an_environment_names_the_key(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text("model: m\nbackend: scripted\nenvironments:\n  x:\n    pyton: /p\n")
    with pytest.raises(ConfigError) as caught:
        load_experiment_config(file)
    told = "e.yaml:5: environments.x.pyton: unknown key; did you mean 'python'?"
    assert told in str(caught.value)


@pytest.mark.usefixtures("scripted")
def test_environments_are_no_part_of_what_is_measured() -> None:
    plain = ExperimentConfig(model="m", backend="scripted")
    with_some = ExperimentConfig(model="m", backend="scripted", environments={"x": "/p"})
    assert with_some.measurement_config_hash == plain.measurement_config_hash
    assert "environments" not in with_some.for_run()
    assert with_some.runs_in is None
