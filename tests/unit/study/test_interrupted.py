"""Signals that come while a run is being noted as over."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from llem_core.contracts import LaunchResult, LaunchTask, Running
from llem_core.contracts.messages import LaunchSuccess
from llem_core.study.record.manifest import load_manifest
from llem_core.testing import InlineLauncher
from llenergymeasure import ExperimentResult, run_study

pytestmark = pytest.mark.usefixtures("scripted")

STUDY = {
    "model": "m",
    "backend": "scripted",
    "n": 1,
    "baseline": {"enabled": False},
    "warmup": {"enabled": False},
    "sweep": {"max_output_tokens": [4, 8]},
    "execution": {"n_cycles": 1},
}


@dataclass(frozen=True)
class InterruptedSuccess(LaunchSuccess):
    """A result during whose noting Ctrl+C is pressed."""

    def __getattribute__(self, name: str) -> object:
        if name == "result_file":
            signal.raise_signal(signal.SIGINT)
        return super().__getattribute__(name)


class InterruptingLauncher(InlineLauncher):
    def start(self, task: LaunchTask) -> Running:
        running = super().start(task)
        plain = running.result

        def result() -> LaunchResult | None:
            ended = plain()
            return (
                InterruptedSuccess(ended.result_file, ended.size_bytes)
                if isinstance(ended, LaunchSuccess)
                else ended
            )

        running.result = result  # type: ignore[method-assign]
        return running


def test_a_run_that_is_over_keeps_its_result(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_study(STUDY, output_dir=tmp_path, launcher=InterruptingLauncher(), gaps=False)
    (directory,) = tmp_path.iterdir()
    manifest = load_manifest(directory)
    assert manifest.status == "interrupted"
    first, second = manifest.runs()
    assert (first.status, second.status) == ("completed", "pending")
    assert first.result_file is not None
    ExperimentResult.model_validate_json((directory / first.result_file).read_text())
    result = run_study(STUDY, output_dir=tmp_path, launcher=InlineLauncher(), resume=True)
    assert result.status == "completed"
    assert [entry.attempt for entry in load_manifest(directory).runs()] == [1, 1]
