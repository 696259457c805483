"""What the distributions promise by ``py.typed``: a consumer's code type-checks strictly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GOOD = """
from collections.abc import Sequence
from pathlib import Path

from llem_core.contracts import (
    Availability, BackendSection, Batch, EnergyReading, EnergySampler, ResultSink, SamplerSpec,
    Workload,
)
from llem_core.plugins import Plugins, use_plugins
from llem_core.testing import (
    BackendContract, FakePlugin, InlineLauncher, MemorySink, SamplerContract, finished_experiment,
    memory_sink, run_contract, scripted_backend, scripted_sampler,
)
from llenergymeasure import ExperimentConfig, ExperimentResult, run_experiment, run_study


class TestBackend(BackendContract):
    spec = scripted_backend()
    missing_model = None
    section = {"batch_size": 2}


class TestSampler(SamplerContract):
    @staticmethod
    def spec() -> SamplerSpec:
        return scripted_sampler()


def gate(folder: Path, limit_j: float) -> bool:
    sink = MemorySink()
    plugins = Plugins()
    plugins.register(FakePlugin(backends=[scripted_backend()], sinks=[memory_sink(sink)]))
    with use_plugins(plugins):
        config = ExperimentConfig.model_validate({"model": "m", "backend": "scripted"})
        result: ExperimentResult = run_experiment(config)
        run_study({"model": "m"}, output_dir=folder, launcher=InlineLauncher(), gaps=False)
    energy_j: float | None = result.energy_per_output_token_j
    models: Sequence[str] = [received.result.model for received in sink.received]
    failed = [o.message for o in run_contract(TestBackend).values() if o.state == "failed"]
    return not failed and bool(models) and (energy_j is None or energy_j < limit_j)
"""
BAD = """
from llenergymeasure import run_experiment
energy: str = run_experiment(model="m").energy_total_j
"""


def check(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    file = folder / "consumer.py"
    file.write_text(code)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def test_a_consumer_is_checked_strictly(tmp_path: Path) -> None:
    done = check(tmp_path, GOOD)
    assert done.returncode == 0, done.stdout
    done = check(tmp_path, BAD)
    assert done.returncode == 1
    assert "Incompatible types in assignment" in done.stdout
