"""A real SLURM of two nodes on this host, and a plugin that its jobs find."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from llem_core.plugins import Plugins, use_plugins

from tests.integration.laying import lay

HERE = Path(__file__).parent
SCRIPT = HERE.parents[2] / "scripts" / "slurm_cluster.sh"
SHIPPED = "llem-pytorch,llem-energy-nvml,llem-energy-zeus,llem-energy-codecarbon,llem-energy-dcgm"
Study = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    folder: Path

    def __call__(self, action: str, *arguments: str) -> None:
        """An action of the script, such as ``stop-node``."""
        subprocess.run(["bash", SCRIPT, action, self.folder, *arguments], check=True)

    def ask(self, *command: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    @property
    def jobs(self) -> list[str]:
        """The jobs that are not over."""
        return self.ask("squeue", "--noheader", "--array", "--format=%i").split()


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[Cluster]:
    if os.geteuid() != 0:
        pytest.skip("munge and SLURM's daemons are started by root alone")
    missing = [n for n in ("slurmctld", "slurmd", "munged") if shutil.which(n) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}; `bash {SCRIPT.name} install FOLDER` installs them")
    # A socket's path is short; pytest's own folders are not.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    try:
        subprocess.run(
            ["bash", SCRIPT, "start", folder, "2"],
            check=True,
            env={**os.environ, "PYTHON": sys.executable},
        )
        yield Cluster(folder)
    finally:
        subprocess.run(["bash", SCRIPT, "stop", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(running_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("SLURM_CONF", str(running_cluster.folder / "slurm.conf"))
    yield running_cluster
    # A test that failed has left jobs that wait for ever, on the nodes that the next one needs.
    if left := running_cluster.jobs:
        running_cluster.ask("scancel", *left)
        end_s = time.monotonic() + 60
        while running_cluster.jobs and time.monotonic() < end_s:
            time.sleep(0.1)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin's distribution, as an installer lays it."""
    return lay(tmp_path_factory.mktemp("site"), HERE / "patient_plugin.py")


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The plugin is installed, here and in every job that is submitted."""
    monkeypatch.setenv("LLEM_DISABLE_PLUGINS", SHIPPED)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    plugins = Plugins()
    plugins.load_installed()
    with use_plugins(plugins):
        yield site


@pytest.fixture
def study() -> Study:
    """Makes what a study file holds; ``patient`` goes to the plugin."""

    def make(
        *,
        sweep: dict[str, Any] | None = None,
        patient: dict[str, Any] | None = None,
        slurm: dict[str, Any] | None = None,
        **execution: Any,
    ) -> dict[str, Any]:
        quick = {"jobs": 2, "poll_seconds": 0.2, "visibility_seconds": 2}
        return {
            "name": "study",
            "model": "any",
            "backend": "patient",
            "n": 1,
            "energy": {"sampler": None},
            "baseline": {"enabled": False},
            "warmup": {"enabled": False},
            "patient": patient or {},
            **({"sweep": sweep} if sweep else {}),
            "execution": {
                "config_gap_seconds": 0,
                "cycle_gap_seconds": 0,
                "n_cycles": 1,
                "launcher": "slurm",
                "slurm": {**quick, **(slurm or {})},
                **execution,
            },
        }

    return make
