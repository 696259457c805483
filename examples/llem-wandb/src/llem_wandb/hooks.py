"""Registers the sink; what the entry point names, so it imports nothing heavy."""

from __future__ import annotations

from llem_core.contracts import ResultSink, Section, SinkSpec, hookimpl

from llem_wandb.config import WandbConfig

LLEM_CONTRACT = 2


def _create(section: Section | None) -> ResultSink:
    from llem_wandb.sink import WandbSink

    return WandbSink(section)


WANDB = SinkSpec(
    name="wandb",
    summary="A run of Weights & Biases an experiment: settings, figures with units, result.json.",
    create=_create,
    section=WandbConfig,
)


@hookimpl
def llem_sinks() -> list[SinkSpec]:
    """Name the sink."""
    return [WANDB]
