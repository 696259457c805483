"""Reads an experiment file, with all the layers over and under it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llem_core.config.errors import config_error
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.layers import from_environment
from llem_core.config.merge import merge
from llem_core.config.sections import DEFAULT_BACKEND, hoist
from llem_core.config.study import STUDY_KEYS
from llem_core.config.user import UserConfig, load_user_config
from llem_core.config.yaml import read_yaml
from llem_core.errors import ConfigError
from llem_core.plugins import plugins

__all__ = ["STUDY_KEYS", "environment_settings", "load_experiment_config"]


def load_experiment_config(
    path: str | os.PathLike[str] | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    user: UserConfig | None = None,
    default: Mapping[str, Any] | None = None,
) -> ExperimentConfig:
    """Read an experiment file.

    Precedence, highest first: ``overrides`` (command-line flags), the environment, the file,
    the user's configuration, the defaults of the models.

    Args:
        path: the YAML file; ``None`` for ``default`` in its place.
        overrides: raw fields that win over everything.
        environ: the environment; that of the process if not given.
        user: the user's configuration; read from its usual place if not given.
        default: raw fields that stand for the file where there is none.

    Raises:
        ConfigError: the file or a value cannot be used; names file, key and remedy.
    """
    content = dict(default or {}) if path is None else read_yaml(Path(path))
    study = sorted(STUDY_KEYS & set(content))
    if study:
        raise ConfigError(
            f"{path}: {', '.join(study)} {'belongs' if len(study) == 1 else 'belong'} to a study, "
            "and this is read as one experiment; read it with load_study_config or run_study, or "
            "remove what belongs to a study."
        )
    user = load_user_config() if user is None else user
    settings, _ = environment_settings(environ)
    layers = (user.experiment_defaults(), content, settings, overrides or {})
    named = [layer["backend"] for layer in layers if "backend" in layer]
    backend = named[-1] if named else DEFAULT_BACKEND
    fields: dict[str, Any] = {}
    for layer in layers:
        fields = merge(fields, hoist(layer, backend))
    source = _source(path, bool(settings), bool(overrides))
    try:
        return ExperimentConfig.model_validate(fields)
    except ValidationError as error:
        raise config_error(error, source, ExperimentConfig) from error


def environment_settings(
    environ: Mapping[str, str] | None = None, also: Iterable[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Settings of an experiment in ``LLEM_*`` variables, and remarks on those that set none.

    Args:
        environ: the environment; that of the process if not given.
        also: names that a path may begin with, beside those of an experiment: ``execution``
            where a study is read.
    """
    environ = os.environ if environ is None else environ
    if not any(name.startswith("LLEM_") for name in environ):
        return {}, []
    known = [*ExperimentConfig.model_fields, *plugins().section_names(), *also]
    return from_environment(environ, known)


def _source(path: str | os.PathLike[str] | None, from_environ: bool, from_flags: bool) -> str:
    sources = [str(path)] if path is not None else []
    if from_environ:
        sources.append("LLEM_* variables")
    if from_flags:
        sources.append("command line")
    return " + ".join(sources) or "configuration"
