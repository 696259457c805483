"""Finds the study that ``llem run`` was asked for, and the folder of one to go on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llem_core.config.errors import config_error
from llem_core.config.execution import ExecutionConfig
from llem_core.config.layers import merge
from llem_core.config.loader import environment_settings, load_experiment_config
from llem_core.config.quickstart import QUICKSTART
from llem_core.config.study import StudyConfig
from llem_core.config.user import UserConfig, load_user_config
from llem_core.errors import ConfigError
from llem_core.study.loader import load_study_config, study_of
from pydantic import ValidationError

from llem_cli.overrides import Flags
from llem_cli.resolve import output_folder, plugin_notes

DEFAULTS: Mapping[str, Any] = {"n_cycles": 3, "cycle_order": "shuffled"}
"""``execution`` at the command line where nothing says otherwise: the least that gives an
interval, in an order that spreads drift over all configurations."""


@dataclass(frozen=True, slots=True)
class Target:
    """A study, where it goes and how much of it is left.

    Attributes:
        study: the study.
        output: folder that a new study's own folder is made in.
        directory: the folder of the study to go on with; ``None`` for a new one.
        n_left: runs still to do.
        defaults: fields of ``execution`` that have the command line's own default.
        notes: remarks on the environment and the plugins, for the user.
    """

    study: StudyConfig
    output: Path
    directory: Path | None
    n_left: int
    defaults: tuple[str, ...]
    notes: tuple[str, ...]


def resolve_study(
    path: str | None, content: Mapping[str, Any], flags: Flags, output: Path | None
) -> Target:
    """Read a study with all layers over and under it, and expand it.

    Args:
        path: the study's or experiment's file; without it, a study of one experiment.
        content: what is in it.
        flags: the command line's own settings.
        output: the command line's own output folder.

    Raises:
        ConfigError: the file, a variable or a flag cannot be used.
    """
    user = load_user_config()
    settings, remarks = environment_settings(also=("execution",))
    overrides = flags.overrides(merge(content, settings))
    if path is None:
        study = _study_of_one(overrides, settings, user)
    else:
        study = load_study_config(path, overrides, user=user)
    defaults = tuple(name for name in DEFAULTS if name not in study.execution.model_fields_set)
    execution = study.execution.model_copy(update={name: DEFAULTS[name] for name in defaults})
    study = study.model_copy(update={"execution": execution})
    return Target(
        study,
        output_folder(output, user.output),
        None,
        len(study.experiments) * execution.n_cycles,
        defaults,
        (*remarks, *plugin_notes()),
    )


def _study_of_one(
    overrides: Mapping[str, Any], settings: Mapping[str, Any], user: UserConfig
) -> StudyConfig:
    """The study of an experiment that flags and variables alone describe."""
    layers = (user.execution_defaults(), settings.get("execution"), overrides.get("execution"))
    fields: dict[str, Any] = {}
    for layer in layers:
        fields = merge(fields, layer or {})
    experiment = {
        key: value for key, value in overrides.items() if key not in {"execution", "name"}
    }
    default = {} if "model" in {**settings, **experiment} else QUICKSTART
    config = load_experiment_config(None, experiment, user=user, default=default)
    try:
        study = study_of(config, ExecutionConfig.model_validate(fields))
        named = {"name": overrides["name"]} if "name" in overrides else {}
        return StudyConfig.model_validate({**dict(study), **named})
    except ValidationError as error:
        raise config_error(error, "command line", StudyConfig) from error
