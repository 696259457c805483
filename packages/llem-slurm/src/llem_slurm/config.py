"""The section ``slurm`` of ``execution``: where and how jobs run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from llem_core.contracts import Section
from pydantic import Field, field_validator

_OPTION = re.compile(r"[a-z][a-z0-9-]*")
# What the launcher itself says to sbatch; a second word on it would break what it relies on.
_OURS = {
    "array": "runs are jobs of their own",
    "job-name": "jobs are found again by it",
    "output": "it lies beside the result",
    "error": "it lies beside the result",
    "open-mode": "it lies beside the result",
    "requeue": "a measurement must not start again unseen; set execution.retries",
    "no-requeue": "it is always set",
    "nodes": "a run has one node",
    "ntasks": "a run has one task",
    "ntasks-per-node": "a run has one task",
    "nodelist": "cycles are kept on one node by execution.block",
    "time": "set time_limit_minutes",
    "signal": "a job has to be told of its end by SIGTERM",
    "wrap": "a job runs the worker",
    "chdir": "a job runs where the study does",
    "partition": "set partition",
    "constraint": "set constraint",
    "account": "set account",
    "qos": "set qos",
    "exclusive": "set exclusive",
    "gpus-per-node": "set gpus",
    "cpus-per-task": "set cpus",
    "mem": "set memory_gib",
}


class JobConfig(Section):
    """What a job asks of SLURM. Null leaves it to what stands above, and to SLURM at last."""

    partition: str | None = Field(None, description="Partition, or several with commas.")
    constraint: str | None = Field(
        None, description="Features that the node must have, such as `a100&nvlink`."
    )
    account: str | None = Field(None, description="Account that the time is charged to.")
    qos: str | None = Field(None, description="Quality of service.")
    gpus: Annotated[int, Field(strict=True, ge=0)] | None = Field(
        None, description="GPUs of a run, in place of execution.resources.gpus."
    )
    cpus: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        None, description="CPU cores of a run, in place of execution.resources.cpus."
    )
    memory_gib: float | None = Field(
        None, gt=0, description="Memory of a run (GiB), in place of execution.resources.memory_gib."
    )
    time_limit_minutes: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        None,
        description="Time limit of a job (min); by default what "
        "execution.experiment_timeout_seconds allows, and time_margin_seconds.",
    )
    setup: tuple[str, ...] | None = Field(
        None, description="Lines of shell before the worker, such as `module load cuda`."
    )
    options: dict[str, str | int | bool] = Field(
        default_factory=dict,
        description="Further options of sbatch, by their long names without the dashes; true for "
        "one without a value.",
    )

    @field_validator("partition", "constraint", "account", "qos")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or "\n" in value):
            raise ValueError("it must be one line, and not empty")
        return value

    @field_validator("options")
    @classmethod
    def _options_of_others(
        cls, options: dict[str, str | int | bool]
    ) -> dict[str, str | int | bool]:
        for name, value in options.items():
            if not _OPTION.fullmatch(name):
                raise ValueError(f"{name!r} is no long name of an option of sbatch; leave out `--`")
            if name in _OURS:
                raise ValueError(f"{name!r} cannot be set here: {_OURS[name]}")
            if value is False or "\n" in str(value):
                raise ValueError(f"{name!r} must have a value of one line, or be true")
        return options


class ExperimentRule(JobConfig):
    """What the jobs of some experiments ask for."""

    match: dict[str, Any] = Field(
        min_length=1,
        description="Dotted paths of an experiment's fields to the value that each must have, "
        "such as `pytorch.num_processes: 4`.",
    )

    def fits(self, config: Mapping[str, Any]) -> bool:
        """Whether a resolved configuration has all these values."""
        return all(_value(config, path) == value for path, value in self.match.items())


class SlurmConfig(JobConfig):
    """Where and how the jobs of a study run."""

    jobs: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        8, description="Jobs in the queue or running at the same time."
    )
    exclusive: bool = Field(
        True,
        description="Whether each job has its node alone. Without it another job is in the "
        "node's figures, this study's own too.",
    )
    time_margin_seconds: float = Field(
        300.0,
        ge=0,
        description="What a job's time limit allows beside the experiment (s): setup lines, the "
        "start of Python, slow file systems.",
    )
    python: str | None = Field(
        None, description="Python on the nodes; by default the one that runs the study."
    )
    poll_seconds: float = Field(
        5.0, gt=0, le=600, description="Least time between two questions to the controller (s)."
    )
    visibility_seconds: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="How late a file of another node may appear here (s); a job that has ended "
        "counts as lost when its result has not appeared by then.",
    )
    backends: dict[str, JobConfig] = Field(
        default_factory=dict,
        description="What the jobs of a backend ask for, by its name; over what stands above.",
    )
    experiments: tuple[ExperimentRule, ...] = Field(
        (), description="What the jobs of some experiments ask for; the last that matches counts."
    )

    def job(self, config: Mapping[str, Any]) -> JobConfig:
        """What a job of this resolved experiment asks for.

        Later layers win field by field: the section's own fields, those of the backend, and each
        rule that matches. ``setup`` is replaced, ``options`` are joined.
        """
        layers: list[JobConfig] = [self]
        backend = self.backends.get(str(config.get("backend")))
        if backend is not None:
            layers.append(backend)
        layers += [rule for rule in self.experiments if rule.fits(config)]
        merged: dict[str, Any] = {"options": {}}
        for layer in layers:
            for name in JobConfig.model_fields:
                value = getattr(layer, name)
                if name == "options":
                    merged["options"] = {**merged["options"], **value}
                elif value is not None:
                    merged[name] = value
        return JobConfig.model_validate(merged)


def _value(config: Mapping[str, Any], path: str) -> Any:
    value: Any = config
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
