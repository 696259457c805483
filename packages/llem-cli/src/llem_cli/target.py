"""Finds the study that ``llem run`` was asked for, and the folder of one to go on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llem_core.config.errors import config_error
from llem_core.config.layers import COMMAND_LINE, VARIABLES, merge
from llem_core.config.loader import (
    QUICKSTART,
    environment_settings,
    load_experiment_config,
    load_study_config,
    merged_execution,
    study_of,
)
from llem_core.config.study import StudyConfig
from llem_core.config.user import UserConfig, load_user_config
from llem_core.config.yaml import Document
from pydantic import ValidationError

from llem_cli.options import Flags, Request, output_folder, plugin_notes
from llem_cli.resumption import find_resumption, with_execution

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
        completed: hash and cycle of the runs that are done.
        defaults: fields of ``execution`` that have the command line's own default.
        notes: remarks on the environment and the plugins, for the user.
    """

    study: StudyConfig
    output: Path
    directory: Path | None
    completed: frozenset[tuple[str, int]]
    defaults: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def n_left(self) -> int:
        """Runs still to do."""
        return len(self.study.experiments) * self.study.execution.n_cycles - len(self.completed)


def resolve_study(request: Request, document: Document | None, flags: Flags) -> Target:
    """Read a study with all layers over and under it and expand it, or find one to go on with.

    Args:
        request: has the study's or experiment's file, and the folder to go on with.
        document: what is in the file.
        flags: settings of the experiments and of the execution.

    Raises:
        ConfigError: the file, a variable or a flag cannot be used.
        StudyError: there is no study to go on with, or it is another one.
    """
    user = load_user_config()
    settings, remarks = environment_settings(also=("execution",))
    overrides = flags.overrides(merge(document.content if document else {}, settings))
    output = output_folder(request.output, user.output)
    notes = (*remarks, *plugin_notes())
    asked: StudyConfig | None = None
    defaults: tuple[str, ...] = ()
    if document is not None:
        asked = load_study_config(document, overrides, user=user)
    elif request.resume is None or _experiment(overrides):
        asked = _study_of_one(overrides, settings, user)
    if asked is not None:
        unsaid = {k: v for k, v in DEFAULTS.items() if k not in asked.execution.model_fields_set}
        defaults = tuple(unsaid)
        asked = with_execution(asked, unsaid)
    if request.resume is not None:
        found = find_resumption(request.resume, output, asked, overrides.get("execution", {}))
        return Target(
            found.study, output, found.directory, found.completed, (), (*notes, *found.notes)
        )
    assert asked is not None
    return Target(asked, output, None, frozenset(), defaults, notes)


def _experiment(overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in overrides.items() if key not in {"execution", "name"}}


def _study_of_one(
    overrides: Mapping[str, Any], settings: Mapping[str, Any], user: UserConfig
) -> StudyConfig:
    """The study of an experiment that flags and variables alone describe."""
    fields = merged_execution(
        [
            Document("user configuration", {"execution": user.execution_defaults()}),
            Document(VARIABLES, settings),
            Document(COMMAND_LINE, overrides),
        ]
    )
    experiment = _experiment(overrides)
    known = "model" in {**settings, **experiment}
    document = None if known else Document("quickstart", QUICKSTART)
    config = load_experiment_config(document, experiment, user=user)
    try:
        named = {"name": overrides["name"]} if "name" in overrides else {}
        return StudyConfig.model_validate({**dict(study_of(config)), "execution": fields, **named})
    except ValidationError as error:
        raise config_error(error, "command line", StudyConfig) from error
