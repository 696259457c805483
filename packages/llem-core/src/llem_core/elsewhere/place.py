"""Command lines that run this project's Python in an environment."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.files import user_path

# They are about this interpreter, and would lead that one to this one's packages.
_OURS = frozenset({"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONEXECUTABLE"})
_HANDED_ON = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM"),
    *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"),
    *("CUDA_LAUNCH_BLOCKING", "NVIDIA_TF32_OVERRIDE", "ATTN_IMPLEMENTATION"),
    *("LLEM_DISABLE_PLUGINS", "TZ"),
)
"""Variables of this process that a container gets, if they are set: those that change speed."""
_HOME = "/tmp"  # noqa: S108 - the container's own


@dataclass(frozen=True, slots=True)
class Command:
    """What starts a Python in an environment.

    Attributes:
        argv: program and arguments.
        environ: its whole environment.
        container: name of the container, where it is one.
        remove: removes that container, running or not.
    """

    argv: tuple[str, ...]
    environ: dict[str, str]
    container: str | None = None
    remove: tuple[str, ...] = ()


def command(
    config: EnvironmentConfig,
    arguments: Sequence[str],
    *,
    container: str,
    folders: Sequence[Path] = (),
    gpus: Sequence[str] = (),
    told: Mapping[str, str] | None = None,
) -> Command:
    """The command that runs a Python with these arguments.

    Args:
        config: the environment.
        arguments: of the interpreter.
        container: name for the container, if it is one.
        folders: folders that a container may write, at their own paths.
        gpus: UUIDs of the GPUs that a container sees.
        told: further variables.
    """
    variables = {**_variables(config), **(told or {})}
    if config.image is None:
        return _interpreter(config, arguments, variables)
    return _container(config, arguments, variables, container, folders, gpus)


def interpreter_path(config: EnvironmentConfig) -> Path:
    """Path of an environment's interpreter; a bare name is looked for on the PATH.

    Links stay, since a venv is known by one.
    """
    name = str(config.python)
    found = None if os.sep in name else shutil.which(name)
    return Path(found or user_path(name)).absolute()


def engine_argv(config: EnvironmentConfig, *arguments: str) -> tuple[str, ...]:
    """A command line of the container engine."""
    return (config.engine, *config.engine_arguments, *arguments)


def _variables(config: EnvironmentConfig) -> dict[str, str]:
    values = {
        name: os.environ.get(name) if text is None else text
        for name, text in config.variables.items()
    }
    return {name: text for name, text in values.items() if text is not None}


def _interpreter(
    config: EnvironmentConfig, arguments: Sequence[str], variables: Mapping[str, str]
) -> Command:
    path = interpreter_path(config)
    environ = {name: text for name, text in os.environ.items() if name not in _OURS}
    # Compilers and the like that were installed beside it come first, as in an activated venv.
    environ["PATH"] = f"{path.parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return Command((str(path), *arguments), {**environ, **variables})


def _container(
    config: EnvironmentConfig,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    name: str,
    folders: Sequence[Path],
    gpus: Sequence[str],
) -> Command:
    handed_on = {key: os.environ[key] for key in _HANDED_ON if key in os.environ}
    own = {"HOME": _HOME, "USER": "llem", "LOGNAME": "llem", "PYTHONDONTWRITEBYTECODE": "1"}
    if gpus:
        own["NVIDIA_DRIVER_CAPABILITIES"] = "compute,utility"
    values = {**handed_on, **own, **variables}
    argv = [
        *engine_argv(config, "run", "--rm", "--interactive", "--name", name),
        *("--network", config.network, "--read-only", "--tmpfs", f"{_HOME}:rw,exec,mode=1777"),
        *("--user", f"{os.getuid()}:{os.getgid()}", "--shm-size", f"{config.shm_gib:g}g"),
        *("--workdir", _workdir(config, folders), "--entrypoint", config.python or "python3"),
    ]
    if config.engine == "podman" and os.getuid():
        argv.append("--userns=keep-id")  # without it, the user's id is another one inside
    if config.memory_gib is not None:
        argv += ["--memory", f"{config.memory_gib:g}g"]
    for folder in folders:
        argv += ["--mount", _mount(folder, str(folder), read_only=False)]
    for mount in config.seen:
        argv += ["--mount", _mount(mount.path, mount.target, read_only=mount.read_only)]
    for key in values:
        argv += ["--env", key]  # its value comes by the environment, where no `ps` shows it
    argv += [*_gpu_arguments(config, gpus), *config.run_arguments, str(config.image), *arguments]
    # `--rm` removes a container that has run, and this one that was about to.
    remove = engine_argv(config, "rm", "--force", name)
    return Command(tuple(argv), {**os.environ, **values, "HOME": _home()}, name, remove)


def _home() -> str:
    """The engine's own program needs the user's home: its settings lie there."""
    return os.environ.get("HOME", "/")


def _workdir(config: EnvironmentConfig, folders: Sequence[Path]) -> str:
    """Where relative paths lead: this process's folder, if the container sees it."""
    here = Path.cwd()
    seen = [*folders, *(m.path for m in config.seen if str(m.path) == m.target)]
    if any(here.is_relative_to(folder) for folder in seen):
        return str(here)
    return str(folders[0]) if folders else "/"


def _mount(source: Path, target: str, *, read_only: bool) -> str:
    fields = ["type=bind", f"source={source}", f"target={target}", *(["readonly"] * read_only)]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _gpu_arguments(config: EnvironmentConfig, gpus: Sequence[str]) -> list[str]:
    if not gpus:
        return []
    if config.engine == "podman":
        return [f"--device=nvidia.com/gpu={uuid}" for uuid in gpus]
    return ["--gpus", f'"device={",".join(gpus)}"']
