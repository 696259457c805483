"""Reads experiment and study files, with all the layers over and under them."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from llem_core.config.errors import KeyedConfigError, config_error, describe
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.layers import (
    COMMAND_LINE,
    STUDY_KEYS,
    VARIABLES,
    Layer,
    from_environment,
    merge,
    place_of,
    refuse_clashes,
    said_last,
    stacked,
)
from llem_core.config.sections import DEFAULT_BACKEND
from llem_core.config.user import UserConfig, load_user_config
from llem_core.config.yaml import Document, read_yaml
from llem_core.errors import ConfigError
from llem_core.files import user_path
from llem_core.plugins import plugins
from llem_core.text import model_name, slug

if TYPE_CHECKING:  # one experiment does without what makes a study
    from llem_core.config.execution import ExecutionConfig
    from llem_core.config.study import StudyConfig

QUICKSTART: dict[str, Any] = {
    "model": "shape:tiny-llama",
    "n": 40,
    "max_input_tokens": 256,
    "max_output_tokens": 64,
    "baseline": {"duration_seconds": 3.0},
}
"""Small enough for a laptop's CPU; everything else has its default."""


def load_experiment_config(
    path: str | os.PathLike[str] | Document | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    user: UserConfig | None = None,
) -> ExperimentConfig:
    """Read an experiment file.

    Precedence, highest first: ``overrides`` (command-line flags), the environment, the file,
    the user's configuration, the defaults of the models.

    Args:
        path: the YAML file, or what has been read of it; ``None`` where there is none.
        overrides: raw fields that win over everything.
        environ: the environment; that of the process if not given.
        user: the user's configuration; read from its usual place if not given.

    Raises:
        ConfigError: the file or a value cannot be used; names file, line, key and remedy.
    """
    document = _read(path)
    study = sorted(STUDY_KEYS & document.content.keys())
    if study:
        raise ConfigError(
            f"{document.place((study[0],))}: {', '.join(study)} "
            f"{'belongs' if len(study) == 1 else 'belong'} to a study, "
            "and this is read as one experiment; read it with load_study_config or run_study, or "
            "remove what belongs to a study."
        )
    user = load_user_config() if user is None else user
    settings, _ = environment_settings(environ)
    layers = [
        Layer.read(user.experiment_defaults(), "user configuration"),
        Layer.read(document),
        Layer.read(settings, VARIABLES),
        Layer.read(overrides or {}, COMMAND_LINE),
    ]
    refuse_clashes(layers[:2])
    backend = said_last(layers, "backend", DEFAULT_BACKEND)
    try:
        return ExperimentConfig.model_validate(stacked(layers, backend))
    except ValidationError as error:
        where = functools.partial(place_of, layers, backend=backend)
        raise config_error(error, where, ExperimentConfig) from error


def _read(path: str | os.PathLike[str] | Document | None) -> Document:
    if path is None:
        return Document("configuration", {})
    return path if isinstance(path, Document) else read_yaml(Path(path))


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


_LONGEST_NAME = 80


def load_study_config(
    path: str | os.PathLike[str] | Document,
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    user: UserConfig | None = None,
    execution_overrides: Mapping[str, Any] | None = None,
    execution_defaults: Mapping[str, Any] | None = None,
) -> StudyConfig:
    """Read a study file and expand its sweep.

    Precedence, highest first: ``overrides`` (command-line flags), the environment, the file's
    sweep and its list of experiments, the rest of the file, its ``base``, the user's
    configuration, the defaults of the models.

    Args:
        path: the YAML file, or what has been read of it; an experiment file is a study of one.
        overrides: raw fields that win over everything; ``name`` and ``execution`` may be
            among them.
        environ: the environment; that of the process if not given.
        user: the user's configuration; read from its usual place if not given.
        execution_overrides: raw fields of ``execution`` that win over everything.
        execution_defaults: raw fields of ``execution`` in place of the model's defaults.

    Raises:
        ConfigError: the file or a value cannot be used, or no combination is a valid
            experiment; names file, line, key and remedy.
    """
    document = _read(path)
    settings, _ = environment_settings(environ, also=("execution",))
    user = load_user_config() if user is None else user
    execution = [
        Document("defaults", {"execution": execution_defaults}),
        Document("user configuration", {"execution": user.execution_defaults()}),
        document,
        Document(VARIABLES, settings),
        Document(COMMAND_LINE, overrides or {}),
        Document(COMMAND_LINE, {"execution": execution_overrides}),
    ]
    below = [Layer.read(user.experiment_defaults(), "user configuration")]
    over = [Layer.read(_of_experiments(settings), VARIABLES)]
    over.append(Layer.read(_of_experiments(overrides or {}), COMMAND_LINE))
    name = document.content.get("name", folder_name(Path(document.source).stem))
    name = (overrides or {}).get("name", name)
    return _expanded(document, name, execution, below, over)


def study_from(content: Mapping[str, Any]) -> StudyConfig:
    """A study from what a study file holds; neither environment nor user configuration apply.

    Args:
        content: the file's keys; ``base`` is relative to the working directory.

    Raises:
        ConfigError: a value cannot be used, or no combination is a valid experiment.
    """
    document = Document("", content)
    return _expanded(document, content.get("name", "study"), [document])


def _expanded(
    document: Document,
    name: Any,
    execution: Sequence[Document],
    below: Sequence[Layer] = (),
    over: Sequence[Layer] = (),
) -> StudyConfig:
    """Expand a study's document and put the study together."""
    from llem_core.config.study import StudyConfig
    from llem_core.config.sweep.expand import expand

    try:
        base = _base(document)
        layers = [*below, *([] if base is None else [Layer.read(base)])]
        refuse_clashes([*layers, Layer.read(document)])
        expansion = expand(document, layers, over)
        fields = {
            "name": name,
            "experiments": expansion.experiments,
            "labels": expansion.labels,
            "skipped": expansion.skipped,
            "merged": expansion.merged,
            "n_generated": expansion.n_generated,
            "execution": merged_execution(execution),
            "environments": expansion.experiments[0].environments,
        }
    except KeyedConfigError as error:
        raise error.at(document.place(error.location)) from error
    try:
        return StudyConfig.model_validate(fields)
    except ValidationError as error:
        layers = [Layer(each, each.content) for each in execution]
        where = functools.partial(place_of, layers, backend=None)
        raise config_error(error, where, StudyConfig) from error


def split_limit(document: Document) -> tuple[Document, float | None]:
    """Take the time limit out of what is one experiment otherwise.

    ``execution`` makes a study of an experiment, but for ``experiment_timeout_seconds`` alone.

    Args:
        document: raw fields, with where they come from.

    Returns:
        The fields without the limit, and the limit (s); the fields as they are where
        ``execution`` says more.

    Raises:
        ConfigError: the limit cannot be one.
    """
    execution = document.content.get("execution")
    if not isinstance(execution, Mapping) or set(execution) != {"experiment_timeout_seconds"}:
        return document, None
    from llem_core.config.execution import ExecutionConfig

    try:
        checked = ExecutionConfig.model_validate(dict(execution))
    except ValidationError as error:
        told = describe(error, ExecutionConfig)
        place = document.place(("execution", "experiment_timeout_seconds"))
        raise ConfigError(f"{place}: execution.{told}.") from error
    rest = {key: value for key, value in document.content.items() if key != "execution"}
    return replace(document, content=rest), checked.experiment_timeout_seconds


def study_of(config: ExperimentConfig, execution: ExecutionConfig | None = None) -> StudyConfig:
    """A study of one experiment, named after its model."""
    from llem_core.config.execution import ExecutionConfig
    from llem_core.config.study import StudyConfig

    return StudyConfig(
        name=folder_name(model_name(config.model)),
        experiments=(config,),
        labels={config.measurement_config_hash: config.model},
        n_generated=1,
        execution=execution or ExecutionConfig(),
        environments=config.environments,
    )


def folder_name(text: str) -> str:
    """The nearest text that can name a study and its folder."""
    return slug(text, _LONGEST_NAME, "study")


def merged_execution(documents: Sequence[Document]) -> dict[str, Any]:
    """``execution`` of all documents, the lowest first.

    Raises:
        ConfigError: it is no mapping in one of them.
    """
    merged: dict[str, Any] = {}
    for document in documents:
        execution = _with_launcher(document)
        if execution is None:
            continue
        if not isinstance(execution, Mapping):
            raise ConfigError(
                f"{document.place(('execution',))}: execution: {execution!r} stands where a "
                "mapping belongs, such as `execution: {n_cycles: 3}`."
            )
        merged = merge(merged, execution)
    return merged


def _with_launcher(document: Document) -> Any:
    """``execution`` of a document, a ``launcher`` at its top level among it."""
    execution = document.content.get("execution")
    launcher = document.content.get("launcher")
    if launcher is None or not isinstance(execution, Mapping | None):
        return execution
    inner = (execution or {}).get("launcher", launcher)
    if inner != launcher:
        raise ConfigError(
            f"{document.place(('launcher',))}: launcher is {launcher!r}, and execution.launcher is "
            f"{inner!r}; name one launcher, in one of the two places."
        )
    return {**(execution or {}), "launcher": launcher}


def _of_experiments(fields: Mapping[str, Any]) -> dict[str, Any]:
    not_theirs = {"name", "execution", "launcher"}
    return {key: value for key, value in fields.items() if key not in not_theirs}


def _base(document: Document) -> Document | None:
    base = document.content.get("base")
    if base is None:
        return None
    if not isinstance(base, str) or not base:
        raise KeyedConfigError(
            ("base",),
            f"{base!r} is no path; give that of an experiment file, relative to this one.",
        )
    source = Path(document.source)
    try:
        path = source.parent / user_path(base)
        itself = path.exists() and source.exists() and path.samefile(source)
    except (ConfigError, OSError) as error:
        raise KeyedConfigError(("base",), f"it cannot be read: {error}") from error
    if itself:
        raise KeyedConfigError(("base",), "it names this very file; give an experiment file.")
    try:
        found = read_yaml(path)
    except ConfigError as error:
        raise KeyedConfigError(("base",), str(error)) from error
    study = sorted(STUDY_KEYS & found.content.keys())
    if study:
        raise KeyedConfigError(
            ("base",),
            f"{path} is a study itself (it has {', '.join(study)}); base is the path of an "
            "experiment file.",
        )
    return found
