"""Asks an environment about itself, and says in one paragraph why it cannot answer."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import ValidationError

from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.elsewhere.place import Command, command, engine_argv, interpreter_path
from llem_core.elsewhere.versions import (
    OLDEST_PYTHON,
    Description,
    core_version,
    differences,
)
from llem_core.errors import PreFlightError
from llem_core.files import write_atomically
from llem_core.processes import guard

LIMIT_S = 120.0
"""How long an environment may take to answer: its first import of everything may come from a
network's disk."""
_ENGINE_LIMIT_S = 30.0
_TAIL = 600
_MARK = "llem_environment"

# Any Python of the last fifteen years can run it.
_BOOT = """\
import json, sys
sys.path[:] = [each for each in sys.path if each]
told = {"llem_environment": 1, "python": ".".join(map(str, sys.version_info[:3]))}
if sys.version_info >= OLDEST:
    try:
        from llem_core.study.launch import describe
    except ImportError as error:
        told["missing"], told["module"] = str(error), error.name
        try:
            from importlib.metadata import version
            told["llem_core"] = version("llem-core")
        except Exception:
            pass
    else:
        sys.exit(describe.main(sys.argv[1:]))
print(json.dumps(told))
""".replace("OLDEST", str(OLDEST_PYTHON))


def describe(name: str, config: EnvironmentConfig) -> Description:
    """What an environment tells of itself; asked once, and kept by its content.

    Args:
        name: its name, for messages.
        config: the environment.

    Raises:
        PreFlightError: it cannot be used: one paragraph with what is wrong and what to do.
    """
    kept = _kept(name, config)
    known = _read(kept)
    if known is not None and config.image is not None:
        return known  # an image never changes
    answer = ask(name, config, ["describe", known.fingerprint if known else ""])
    if known is not None and answer.get("unchanged"):
        return known
    found = _description(name, config, answer)
    # Without a folder for it, it is asked again the next time.
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, found.model_dump_json().encode())
    return found


def look(name: str, config: EnvironmentConfig) -> tuple[Description, dict[str, Any]]:
    """What an environment tells of itself now, and which of its plugins can be used there.

    Returns:
        The description; and by name of backend or sampler ``usable`` and ``reason``.

    Raises:
        PreFlightError: the environment cannot be used.
    """
    answer = ask(name, config, ["availability"])
    return _description(name, config, answer), answer["availability"]


def ask(
    name: str,
    config: EnvironmentConfig,
    arguments: Sequence[str],
    *,
    sent: Any = None,
    folders: Sequence[Path] = (),
    gpus: Sequence[str] = (),
    limit_s: float = LIMIT_S,
) -> dict[str, Any]:
    """Run ``llem_core.study.launch.describe`` in an environment and read its answer.

    Args:
        name: the environment's name, for messages.
        config: the environment.
        arguments: what is asked.
        sent: what it is told on its standard input, as JSON.
        folders, gpus: what a container sees.
        limit_s: how long it may take (s).

    Raises:
        PreFlightError: there is no answer, or the environment cannot be used.
    """
    check_mounts(name, config)
    container = f"llem-ask-{uuid.uuid4().hex[:12]}"
    ready = command(
        config, ["-c", _BOOT, *arguments], container=container, folders=folders, gpus=gpus
    )
    done = _run(name, config, ready, json.dumps(sent).encode(), limit_s)
    for line in reversed(done.stdout.decode(errors="replace").splitlines()):
        if line.startswith(f'{{"{_MARK}"'):
            answer: dict[str, Any] = json.loads(line)
            _refuse(name, config, answer)
            return answer
    raise unusable(name, config, _silent(name, config, done))


def check_mounts(name: str, config: EnvironmentConfig) -> None:
    """See that what a container shall see is there.

    Raises:
        PreFlightError: it is not.
    """
    for mount in config.seen:
        if not mount.path.exists():
            raise unusable(
                name,
                config,
                f"its mount {mount.path} does not exist; make "
                f"it, or correct environments.{name}.mounts",
            )


def image_digest(name: str, config: EnvironmentConfig) -> str:
    """The digest of an environment's image: that of its registry, or else its own id.

    Raises:
        PreFlightError: the engine does not answer, or does not have the image.
    """
    found = _inspect(name, config)
    digests = found.get("RepoDigests") or []
    return str(digests[0]).rpartition("@")[2] if digests else str(found.get("Id"))


def _inspect(name: str, config: EnvironmentConfig) -> dict[str, Any]:
    argv = engine_argv(config, "image", "inspect", str(config.image))
    if shutil.which(config.engine) is None:
        raise unusable(
            name,
            config,
            f"there is no program {config.engine!r} on this machine's PATH; "
            f"install it, or set environments.{name}.engine to another one",
        )
    try:
        done = subprocess.run(  # noqa: S603 - the user's own engine
            argv, capture_output=True, timeout=_ENGINE_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise unusable(
            name,
            config,
            f"{config.engine} did not answer within {_ENGINE_LIMIT_S:g} s; "
            f"see that its service runs (`{config.engine} info`)",
        ) from error
    told = _tail(done.stderr)
    if done.returncode == 0:
        with contextlib.suppress(ValueError, IndexError, TypeError):
            found: dict[str, Any] = json.loads(done.stdout)[0]
            return found
    if "no such image" in told.lower() or "not known" in told.lower():
        raise unusable(
            name,
            config,
            f"{config.engine} has no image {config.image!r}; pull or build "
            f"it first (`{config.engine} pull {config.image}`), or correct "
            f"environments.{name}.image",
        )
    raise unusable(
        name,
        config,
        f"{config.engine} does not answer ({told or 'it says nothing'}); "
        f"start its service, or see that this user may use it (`{config.engine} info`)",
    )


def _run(
    name: str, config: EnvironmentConfig, ready: Command, sent: bytes, limit_s: float
) -> subprocess.CompletedProcess[bytes]:
    watch = None
    token = f"{uuid.uuid4().hex}."
    if ready.container is not None:
        _inspect(name, config)
        watch = guard.start_guard(token, ready.remove)
    try:
        with subprocess.Popen(  # noqa: S603 - the user's own interpreter or engine
            ready.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ready.environ, guard.MARKER: token},
            start_new_session=True,
        ) as process:
            try:
                out, told = process.communicate(sent, timeout=limit_s)
            except BaseException as error:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise unusable(
                        name,
                        config,
                        f"it did not answer within {limit_s:g} s; see what holds it up",
                    ) from error
                raise
        return subprocess.CompletedProcess(ready.argv, process.returncode, out, told)
    except OSError as error:
        raise unusable(name, config, _not_started(name, config, error)) from error
    finally:
        if watch is not None:
            watch.communicate()


def _not_started(name: str, config: EnvironmentConfig, error: OSError) -> str:
    where = f"correct environments.{name}.python"
    path = interpreter_path(config)
    if error.errno == errno.ENOENT and not path.exists():
        why = f"there is no {path}; install it, or {where}"
    elif path.is_dir():
        why = f"{path} is a folder and no interpreter, which may be {path}/bin/python; {where}"
    else:
        why = f"{path} cannot be run ({error.strerror}); {where}"
    return why


def _silent(name: str, config: EnvironmentConfig, done: subprocess.CompletedProcess[bytes]) -> str:
    told = _tail(done.stderr)
    lowered = told.lower()
    if config.image is not None and done.returncode in {125, 126, 127}:
        if config.gpus is not None and ("device driver" in lowered or "nvidia.com/gpu" in lowered):
            return (
                f"{config.engine} cannot hand GPUs to containers ({told}); install NVIDIA's "
                "container toolkit"
            )
        if "executable file not found" in lowered or "no such file" in lowered:
            return (
                f"there is no {config.python or 'python3'!r} in the image; give its path as "
                f"environments.{name}.python"
            )
        return f"{config.engine} did not start a container ({told})"
    return (
        f"it gave no answer and ended with code {done.returncode}"
        f"{f' ({told})' if told else ''}; see that it is a Python that works"
    )


def _refuse(name: str, config: EnvironmentConfig, answer: dict[str, Any]) -> None:
    """Refuse an answer that says that the environment cannot be used.

    Raises:
        PreFlightError: it cannot.
    """
    python = str(answer.get("python"))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    if tuple(map(int, python.split(".")[:2])) < OLDEST_PYTHON:
        raise unusable(
            name,
            config,
            f"its Python is {python}, and llem needs {oldest} or newer; make it with a newer one",
        )
    if "missing" not in answer:
        return
    there = answer.get("llem_core")
    if there is not None and str(answer.get("module", "")).startswith("llem_core"):
        raise unusable(
            name,
            config,
            f"its llem-core is {there}, which cannot be asked, and {core_version()} is here; "
            f"install the same version there (`{_pip(config)} llem-core=={core_version()}`)",
        )
    if there is None:
        raise unusable(
            name,
            config,
            f"llem-core is not installed there; install it with the plugin of your engine "
            f"(`{_pip(config)} llem-core=={core_version()}`)",
        )
    raise unusable(
        name,
        config,
        f"llem-core {there} does not import there ({answer['missing']}); install it anew",
    )


def _description(name: str, config: EnvironmentConfig, answer: dict[str, Any]) -> Description:
    try:
        found = Description.model_validate(answer)
    except ValidationError as error:
        raise unusable(
            name,
            config,
            f"its answer is not one that llem-core {core_version()} reads; install the same "
            "version there",
        ) from error
    differs = differences(found)
    if differs:
        raise unusable(
            name,
            config,
            f"the two sides do not fit each other: {'; '.join(differs)} (llem-core is "
            f"{core_version()} here and {found.llem_core} there); install the same version of "
            f"llem-core and its plugins on both (`{_pip(config)} llem-core=={core_version()}`)",
        )
    return found


def _pip(config: EnvironmentConfig) -> str:
    python = config.python or "python3"
    return f"{python} -m pip install" if config.image is None else "pip install"


def unusable(name: str, config: EnvironmentConfig, why: str) -> PreFlightError:
    """The error of an environment that cannot be used."""
    return PreFlightError(f"the environment {name!r} ({config.description}) cannot be used: {why}")


def _tail(text: bytes) -> str:
    told = " ".join(text.decode(errors="replace").split())
    return told if len(told) <= _TAIL else f"…{told[-_TAIL:]}"


def _kept(name: str, config: EnvironmentConfig) -> Path:
    """Where the answer is kept: named by what it depends on."""
    if config.image is None:
        key: list[Any] = [str(interpreter_path(config))]
    else:
        mounts = [(str(m.path), m.target) for m in config.seen]
        key = [config.engine, _inspect(name, config).get("Id"), config.python, mounts]
    text = json.dumps([core_version(), _code(), *key])
    named = hashlib.sha256(text.encode()).hexdigest()[:32]
    return platformdirs.user_cache_path("llenergymeasure") / "environments" / f"{named}.json"


def _code() -> int:
    """When this side was installed or edited last: another version of the answer's form."""
    return Path(__file__).stat().st_mtime_ns


def _read(kept: Path) -> Description | None:
    with contextlib.suppress(OSError, ValueError):
        found = Description.model_validate_json(kept.read_bytes())
        return None if differences(found) else found
    return None
