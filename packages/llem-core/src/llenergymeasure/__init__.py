"""LLenergyMeasure: energy, speed and compute of LLM inference, with stated uncertainty.

These are the stable public names; they load what they need when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llem_core import __version__
    from llem_core.api import run_experiment, run_study
    from llem_core.config.baseline import BaselineConfig
    from llem_core.config.energy import EnergyConfig
    from llem_core.config.execution import ExecutionConfig
    from llem_core.config.experiment import ExperimentConfig
    from llem_core.config.loader import load_experiment_config, load_study_config
    from llem_core.config.study import SkippedConfig, StudyConfig
    from llem_core.config.sweep.expand import expand_grid
    from llem_core.config.warmup import WarmupConfig
    from llem_core.contracts import EnergySampler, InferenceBackend, ResultSink
    from llem_core.contracts.config import DecoderConfig, LoRAConfig
    from llem_core.measure.result.flops import FlopsEstimator
    from llem_core.measure.state import StateManager
    from llem_core.results.aggregate import aggregate_results
    from llem_core.results.energy import EnergyBreakdown
    from llem_core.results.environment import EnvironmentSnapshot
    from llem_core.results.experiment import ExperimentResult
    from llem_core.results.model import FlopsResult
    from llem_core.results.process import WarmupResult
    from llem_core.results.study import StudyResult, StudySummary
    from llem_core.study.plan import apply_cycles
    from llem_core.study.reading.load import load_result, load_study
    from llem_core.study.record.manifest import ManifestWriter, StudyManifest
    from llem_core.study.runner import StudyRunner

_HOMES = {
    "__version__": "llem_core",
    "run_experiment": "llem_core.api",
    "BaselineConfig": "llem_core.config.baseline",
    "DecoderConfig": "llem_core.contracts.config",
    "EnergyConfig": "llem_core.config.energy",
    "ExperimentConfig": "llem_core.config.experiment",
    "LoRAConfig": "llem_core.contracts.config",
    "WarmupConfig": "llem_core.config.warmup",
    "load_experiment_config": "llem_core.config.loader",
    "EnergySampler": "llem_core.contracts.sampler",
    "InferenceBackend": "llem_core.contracts.backend",
    "ResultSink": "llem_core.contracts.sink",
    "FlopsEstimator": "llem_core.measure.result.flops",
    "StateManager": "llem_core.measure.state",
    "aggregate_results": "llem_core.results.aggregate",
    "EnergyBreakdown": "llem_core.results.energy",
    "EnvironmentSnapshot": "llem_core.results.environment",
    "ExperimentResult": "llem_core.results.experiment",
    "FlopsResult": "llem_core.results.model",
    "WarmupResult": "llem_core.results.process",
    "ExecutionConfig": "llem_core.config.execution",
    "SkippedConfig": "llem_core.config.study",
    "StudyConfig": "llem_core.config.study",
    "StudyResult": "llem_core.results.study",
    "StudySummary": "llem_core.results.study",
    "StudyManifest": "llem_core.study.record.manifest",
    "ManifestWriter": "llem_core.study.record.manifest",
    "StudyRunner": "llem_core.study.runner",
    "run_study": "llem_core.api",
    "load_result": "llem_core.study.reading.load",
    "load_study": "llem_core.study.reading.load",
    "load_study_config": "llem_core.config.loader",
    "expand_grid": "llem_core.config.sweep.expand",
    "apply_cycles": "llem_core.study.plan",
}

__all__ = [
    "BaselineConfig",
    "DecoderConfig",
    "EnergyBreakdown",
    "EnergyConfig",
    "EnergySampler",
    "EnvironmentSnapshot",
    "ExecutionConfig",
    "ExperimentConfig",
    "ExperimentResult",
    "FlopsEstimator",
    "FlopsResult",
    "InferenceBackend",
    "LoRAConfig",
    "ManifestWriter",
    "ResultSink",
    "SkippedConfig",
    "StateManager",
    "StudyConfig",
    "StudyManifest",
    "StudyResult",
    "StudyRunner",
    "StudySummary",
    "WarmupConfig",
    "WarmupResult",
    "__version__",
    "aggregate_results",
    "apply_cycles",
    "expand_grid",
    "load_experiment_config",
    "load_result",
    "load_study",
    "load_study_config",
    "run_experiment",
    "run_study",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
