"""Registers the sink; what the entry point names, so it imports nothing heavy."""

from __future__ import annotations

from llem_core.contracts import ResultSink, Section, SinkSpec, hookimpl

from llem_mlflow.config import MlflowConfig

LLEM_CONTRACT = 2


def _create(section: Section | None) -> ResultSink:
    from llem_mlflow.sink import MlflowSink

    return MlflowSink(section)


MLFLOW = SinkSpec(
    name="mlflow",
    summary="A run of MLflow an experiment: settings, figures with units, result.json.",
    create=_create,
    section=MlflowConfig,
)


@hookimpl
def llem_sinks() -> list[SinkSpec]:
    """Name the sink."""
    return [MLFLOW]
