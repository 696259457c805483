"""Reads experiment and study files, with all the layers over and under them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llem_core.config.errors import config_error, describe
from llem_core.config.execution import ExecutionConfig
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.layers import from_environment, merge
from llem_core.config.sections import DEFAULT_BACKEND, hoist, lay
from llem_core.config.study import STUDY_KEYS, StudyConfig
from llem_core.config.sweep.expand import Expansion, expand_grid
from llem_core.config.user import UserConfig, load_user_config
from llem_core.config.yaml import read_yaml
from llem_core.errors import ConfigError
from llem_core.plugins import plugins

QUICKSTART: dict[str, Any] = {
    "model": "shape:tiny-llama",
    "n": 40,
    "max_input_tokens": 256,
    "max_output_tokens": 64,
    "baseline": {"duration_seconds": 3.0},
}
"""Small enough for a laptop's CPU; everything else has its default."""


def load_experiment_config(
    path: str | os.PathLike[str] | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    user: UserConfig | None = None,
    content: Mapping[str, Any] | None = None,
) -> ExperimentConfig:
    """Read an experiment file.

    Precedence, highest first: ``overrides`` (command-line flags), the environment, the file,
    the user's configuration, the defaults of the models.

    Args:
        path: the YAML file; it is only named in messages where ``content`` is given.
        overrides: raw fields that win over everything.
        environ: the environment; that of the process if not given.
        user: the user's configuration; read from its usual place if not given.
        content: what is in the file, where it has been read already or there is none.

    Raises:
        ConfigError: the file or a value cannot be used; names file, key and remedy.
    """
    if content is None:
        content = {} if path is None else read_yaml(Path(path))
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


_LONGEST_NAME = 80


def is_study(content: Mapping[str, Any]) -> bool:
    """Whether a file with this content is a study; an experiment has none of its keys."""
    return not STUDY_KEYS.isdisjoint(content)


def load_study_config(
    path: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    user: UserConfig | None = None,
    execution_overrides: Mapping[str, Any] | None = None,
    execution_defaults: Mapping[str, Any] | None = None,
    content: Mapping[str, Any] | None = None,
) -> StudyConfig:
    """Read a study file and expand its sweep.

    Precedence, highest first: ``overrides`` (command-line flags), the environment, the file's
    sweep and its list of experiments, the rest of the file, its ``base``, the user's
    configuration, the defaults of the models.

    Args:
        path: the YAML file; an experiment file is a study of one.
        overrides: raw fields that win over everything; ``name`` and ``execution`` may be
            among them.
        environ: the environment; that of the process if not given.
        user: the user's configuration; read from its usual place if not given.
        execution_overrides: raw fields of ``execution`` that win over everything.
        execution_defaults: raw fields of ``execution`` in place of the model's defaults.
        content: what is in the file, where it has been read already.

    Raises:
        ConfigError: the file or a value cannot be used, or no combination is a valid
            experiment; names file, key and remedy.
    """
    source = Path(path)
    content = read_yaml(source) if content is None else content
    settings, _ = environment_settings(environ, also=("execution",))
    user = load_user_config() if user is None else user
    over = lay(settings, overrides or {})
    execution: dict[str, Any] = {}
    for layer in (
        execution_defaults,
        user.execution_defaults(),
        content.get("execution"),
        over.pop("execution", None),
        execution_overrides,
    ):
        execution = merge(execution, _mapping(layer, source))
    name = over.pop("name", content.get("name", folder_name(source.stem)))
    below = lay(user.experiment_defaults(), _base(content.get("base"), source))
    try:
        expansion = expand_grid(lay(below, content), over=over)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
    return _study(name, execution, expansion, str(source))


def study_from(content: Mapping[str, Any]) -> StudyConfig:
    """A study from what a study file holds; neither environment nor user configuration apply.

    Args:
        content: the file's keys; ``base`` is relative to the working directory.

    Raises:
        ConfigError: a value cannot be used, or no combination is a valid experiment.
    """
    source = Path("study")
    execution = _mapping(content.get("execution"), source)
    expansion = expand_grid(lay(_base(content.get("base"), source), content))
    return _study(content.get("name", "study"), execution, expansion, "study")


def split_limit(content: Mapping[str, Any], source: str) -> tuple[Mapping[str, Any], float | None]:
    """Take the time limit out of what is one experiment otherwise.

    ``execution`` makes a study of an experiment, but for ``experiment_timeout_seconds`` alone.

    Args:
        content: raw fields.
        source: where they come from, for messages.

    Returns:
        The fields without the limit, and the limit (s); the fields as they are where
        ``execution`` says more.

    Raises:
        ConfigError: the limit cannot be one.
    """
    execution = content.get("execution")
    if not isinstance(execution, Mapping) or set(execution) != {"experiment_timeout_seconds"}:
        return content, None
    try:
        checked = ExecutionConfig.model_validate(dict(execution))
    except ValidationError as error:
        raise ConfigError(f"{source}: execution.{describe(error, ExecutionConfig)}.") from error
    rest = {key: value for key, value in content.items() if key != "execution"}
    return rest, checked.experiment_timeout_seconds


def study_of(config: ExperimentConfig, execution: ExecutionConfig | None = None) -> StudyConfig:
    """A study of one experiment, named after its model."""
    model = config.model.rstrip("/").rsplit("/", maxsplit=1)[-1].removeprefix("shape:")
    return StudyConfig(
        name=folder_name(model),
        experiments=(config,),
        labels={config.measurement_config_hash: config.model},
        n_generated=1,
        execution=execution or ExecutionConfig(),
    )


def folder_name(text: str) -> str:
    """The nearest text that can name a study and its folder."""
    return re.sub(r"[^\w.+-]+", "-", text).strip(".-+")[:_LONGEST_NAME] or "study"


def _study(
    name: Any, execution: Mapping[str, Any], expansion: Expansion, source: str
) -> StudyConfig:
    fields = {
        "name": name,
        "experiments": expansion.experiments,
        "labels": expansion.labels,
        "skipped": expansion.skipped,
        "merged": expansion.merged,
        "n_generated": expansion.n_generated,
        "execution": execution,
    }
    try:
        return StudyConfig.model_validate(fields)
    except ValidationError as error:
        raise config_error(error, source, StudyConfig) from error


def _mapping(execution: Any, source: Path) -> Mapping[str, Any]:
    if execution is None:
        return {}
    if not isinstance(execution, Mapping):
        raise ConfigError(
            f"{source}: execution: {execution!r} stands where a mapping belongs, such as "
            "`execution: {n_cycles: 3}`."
        )
    return execution


def _base(base: Any, source: Path) -> dict[str, Any]:
    if base is None:
        return {}
    if not isinstance(base, str) or not base:
        raise ConfigError(
            f"{source}: base: {base!r} is no path; give that of an experiment file, relative to "
            "this one."
        )
    path = source.parent / Path(base).expanduser()
    if path.exists() and source.exists() and path.samefile(source):
        raise ConfigError(f"{source}: base: it names this very file; give an experiment file.")
    try:
        content = read_yaml(path)
    except ConfigError as error:
        raise ConfigError(f"{source}: base: {error}") from error
    study = sorted(STUDY_KEYS & content.keys())
    if study:
        raise ConfigError(
            f"{source}: base: {path} is a study itself (it has {', '.join(study)}); base is the "
            "path of an experiment file."
        )
    return content
