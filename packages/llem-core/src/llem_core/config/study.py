"""A study: experiments × cycles, after its file has been expanded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from llem_core.config.execution import ExecutionConfig
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.sections import ask_environments
from llem_core.contracts.config import StrictModel
from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.text import short_hash

NAME = re.compile(r"\w[\w.+-]*")
"""What names a study can be part of a folder's name on every system, and needs no quotes."""
LONGEST_NAME = 100
MOST_RUNS = 1_000_000
"""At a minute each, more than a year of measuring; planning takes some microseconds a run."""


class SkippedConfig(StrictModel):
    """A combination of the sweep that is no valid experiment, and why."""

    label: str = Field(description="What varies, as `path=value, path=value`.")
    fields: dict[str, Any] = Field(description="The combination's raw fields.")
    reason: str = Field(description="Why it is no valid experiment.")


class StudyConfig(StrictModel):
    """A study whose sweep has been expanded and validated.

    Attributes:
        labels: what varies between the experiments, by ``measurement_config_hash``.
    """

    name: str = Field(
        "study",
        description="Name of the study and of its folder: letters, digits and `._+-`, 100 at the "
        "most.",
    )
    experiments: tuple[ExperimentConfig, ...] = Field(
        min_length=1, description="The configurations, each once, in the order of the file."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Configuration hash to what varies, for people."
    )
    skipped: tuple[SkippedConfig, ...] = Field(
        (), description="Combinations that are no valid experiments."
    )
    merged: tuple[str, ...] = Field(
        (), description="A sentence for each set of identical combinations that became one."
    )
    n_generated: int = Field(
        0,
        ge=0,
        description="Combinations that the file stands for: the experiments, those skipped and "
        "those merged away.",
    )
    execution: ExecutionConfig = Field(
        default_factory=ExecutionConfig, description="How the study is run."
    )
    environments: dict[str, EnvironmentConfig] = Field(
        default_factory=dict, description="Environments by name; those of the experiments."
    )

    @model_validator(mode="before")
    @classmethod
    def _environments_come_first(cls, data: Any) -> Any:
        """Experiments that were read from a file need what their environments tell."""
        if not isinstance(data, dict):
            return data
        found = [each for each in data.get("experiments") or () if isinstance(each, Mapping)]
        if data.get("environments") and found:
            chosen = [each.get("environment") for each in found]
            named = [key for each in found for key in (each.get("backend"), *each)]
            ask_environments(data["environments"], chosen, named)
        elif not data.get("environments"):
            own = [e for e in data.get("experiments") or () if isinstance(e, ExperimentConfig)]
            merged = {name: env for each in own for name, env in each.environments.items()}
            return {**data, "environments": merged}
        return data

    @field_validator("name")
    @classmethod
    def _can_name_a_folder(cls, name: str) -> str:
        if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot name a folder on every system; use letters, digits and `._+-`, "
                f"beginning with a letter or digit, {LONGEST_NAME} at the most"
            )
        return name

    @model_validator(mode="after")
    def _runs_can_be_planned(self) -> Self:
        n_runs = len(self.experiments) * self.execution.n_cycles
        if n_runs > MOST_RUNS:
            raise ValueError(
                f"{len(self.experiments):,} configurations × {self.execution.n_cycles:,} cycles "
                f"are {n_runs:,} runs, and a study has {MOST_RUNS:,} at the most; sweep fewer "
                "values, or lower execution.n_cycles"
            )
        return self

    @cached_property
    def study_design_hash(self) -> str:
        """SHA-256 of the set of resolved configurations, 16 hexadecimal digits.

        It does not depend on ``execution`` nor on the order in which they stand in the file.
        """
        return short_hash(sorted(config.measurement_config_hash for config in self.experiments))

    def label(self, config_hash: str) -> str:
        """What tells this configuration from the others; its hash where nothing does."""
        return self.labels.get(config_hash) or config_hash
