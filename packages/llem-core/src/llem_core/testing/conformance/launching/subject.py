"""What the kit's runs run: a backend that ends, fails, dies, or goes on until it is killed.

It is a plugin of a distribution that exists for the length of the checks, in a folder that
``PYTHONPATH`` names: so the process of a run finds it wherever the launcher has started it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from llem_core.contracts import BackendSpec, Batch, LaunchTask, Workload, hookimpl
from llem_core.contracts.hookspecs import CONTRACT_VERSION
from llem_core.plugins import Plugins, use_plugins
from llem_core.testing.backend import ScriptedBackend, ScriptedConfig, scripted_backend

LLEM_CONTRACT = CONTRACT_VERSION
NAME = "kit_run"
Action = Literal["end", "fail", "die", "go_on"]
BEATS = "beats"
ScriptedOutput = tuple[float, list[tuple[float, ...]]]
_BEAT_S = 0.05
# The process of a process: it must be ended as well. It gives up when the checks are over.
_CHILD = f"""
import os, sys, time
until_s = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until_s and os.path.isdir(os.path.dirname(sys.argv[1])):
    with open(sys.argv[1], "a") as file:
        file.write(".")
    time.sleep({_BEAT_S})
"""


class KitRunConfig(ScriptedConfig):
    """What a run does."""

    action: Action = Field("end", description="How it ends, if it does.")
    beats: str | None = Field(None, description="Folder that its processes write to.")
    life_s: float = Field(60.0, description="After which one that goes on ends by itself (s).")


class KitRunBackend(ScriptedBackend):
    """Ends, fails, dies without a word, or goes on with a child until both are killed."""

    def generate(self, batch: Batch) -> ScriptedOutput:
        """Do what the section says."""
        section = self.section
        assert isinstance(section, KitRunConfig)
        if section.action == "fail":
            raise ValueError("this run fails, as it was told to")
        if section.action == "die":
            os._exit(3)
        if section.action == "go_on":
            self._go_on(Path(section.beats or "."), section.life_s)
        return super().generate(batch)

    def _go_on(self, beats: Path, life_s: float) -> None:
        child = beats / f"{uuid.uuid4().hex}.child"
        subprocess.Popen(  # noqa: S603 - this Python, with a fixed program
            [sys.executable, "-S", "-c", _CHILD, str(child), str(life_s)]
        )
        own = beats / f"{uuid.uuid4().hex}.run"
        until_s = time.monotonic() + life_s
        while time.monotonic() < until_s and beats.is_dir():
            with own.open("a") as file:
                file.write(".")
            time.sleep(_BEAT_S)


def _create(workload: Workload) -> KitRunBackend:
    return KitRunBackend(workload)


@hookimpl
def llem_backends() -> list[BackendSpec]:
    """The backend of the kit's runs."""
    return [replace(scripted_backend(NAME, create=_create), section=KitRunConfig)]


def make_task(study: Path, action: Action, number: int, life_s: float = 60.0) -> LaunchTask:
    """A run for a launcher; call it within ``installed``.

    Args:
        study: the study's folder.
        action: what the run does.
        number: tells runs apart.
        life_s: after which one that goes on ends by itself (s).
    """
    from llem_core.config.experiment import ExperimentConfig  # most kits need none of it

    config = ExperimentConfig.model_validate(
        {
            "model": "any",
            "backend": NAME,
            "n": 1,
            "max_output_tokens": number,
            "energy": {"sampler": None},
            "baseline": {"enabled": False},
            "warmup": {"enabled": False},
            NAME: {"action": action, "beats": str(study / BEATS), "life_s": life_s},
        }
    )
    name = config.measurement_config_hash
    return LaunchTask(
        config_hash=name,
        config=config.model_dump(mode="json"),
        directory=str(study),
        folder=f"{number:03d}_{name}_c1",
    )


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Within the block, this process and those that it starts have the plugin."""
    with tempfile.TemporaryDirectory(prefix="llem-kit-") as folder:
        info = Path(folder) / "llem_kit_run-1.0.dist-info"
        info.mkdir()
        metadata = "Metadata-Version: 2.1\nName: llem-kit-run\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[llem]\n{NAME} = {__name__}\n", encoding="utf-8")
        former = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *([former] if former else [])])
        sys.path.insert(0, folder)
        plugins = Plugins()
        plugins.load_installed()
        try:
            with use_plugins(plugins):
                yield
        finally:
            sys.path.remove(folder)
            if former is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = former


def beating(study: Path, wait_s: float) -> list[str]:
    """Which of the processes of runs that go on still write, after a while.

    Args:
        study: the study's folder.
        wait_s: how long they are watched (s).
    """
    before = _sizes(study)
    time.sleep(wait_s)
    after = _sizes(study)
    return [name.partition(".")[2] for name, size in after.items() if size > before.get(name, 0)]


def _sizes(study: Path) -> dict[str, int]:
    sizes = {}
    for path in (study / BEATS).iterdir():
        with contextlib.suppress(OSError):
            sizes[path.name] = path.stat().st_size
    return sizes
