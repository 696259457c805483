"""How a study is run: ``execution`` in a study file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from llem_core.contracts.config import StrictModel

CycleOrder = Literal["sequential", "interleaved", "shuffled"]


class ExecutionConfig(StrictModel):
    """How a study is run. Nothing here enters ``study_design_hash``."""

    n_cycles: Annotated[int, Field(strict=True, ge=1, le=10_000)] = Field(
        1, description="Repetitions of every experiment."
    )
    cycle_order: CycleOrder = Field(
        "sequential",
        description="`sequential` repeats an experiment before the next one, `interleaved` goes "
        "round-robin through all of them, `shuffled` draws another order in each cycle, seeded by "
        "the study's design.",
    )
    config_gap_seconds: float = Field(
        60.0, ge=0, le=86_400, description="Pause between two experiments of a cycle (s)."
    )
    cycle_gap_seconds: float = Field(
        300.0, ge=0, le=86_400, description="Pause between two cycles, in place of the other (s)."
    )
    experiment_timeout_seconds: float = Field(
        7200.0,
        gt=0,
        le=31_536_000,
        description="An experiment that takes longer is killed with all that it started (s).",
    )
    max_experiments: Annotated[int, Field(strict=True, ge=1)] = Field(
        100,
        description="A study of more runs (configurations × cycles) has to be confirmed first.",
    )
