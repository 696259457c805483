"""Loads the result of an experiment or of a study from its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from llem_core.errors import ConfigError
from llem_core.files import read_file, user_path
from llem_core.results.experiment import ExperimentResult
from llem_core.results.study import StudyResult
from llem_core.study.reading.unfinished import study_so_far
from llem_core.study.record.manifest import MANIFEST

RESULT = "result.json"
STUDY_RESULT = "study_result.json"

M = TypeVar("M", bound=BaseModel)


def load_result(path: str | os.PathLike[str]) -> ExperimentResult:
    """Load the result of one experiment.

    Example::

        from llenergymeasure import load_result

        result = load_result("results/tiny-llama_pytorch_2026-01-01T00-00-00Z")

    Args:
        path: the experiment's folder, or the ``result.json`` in it. A file of an older schema is
            brought up to date; what it did not tell is null, with that reason.

    Raises:
        ConfigError: there is none, it is half-written or damaged, or a newer llem wrote it; the
            message says which, and what to do.
    """
    place = user_path(path)
    if place.is_dir() and kind_of(place) == "study":
        raise ConfigError(
            f"{place} holds a study, not one experiment; load it with load_study, or name the "
            "folder of one of its runs."
        )
    file = place / RESULT if place.is_dir() else place
    return _read(file, ExperimentResult, "result of an experiment")


def load_study(path: str | os.PathLike[str]) -> StudyResult:
    """Load the result of a study, finished or not.

    Of a study that still runs, or was cut off, it is made of the results that are there: its
    ``status`` is ``running`` or ``interrupted``, and the first of its ``warnings`` says how much
    is missing. Nothing is written.

    Example::

        from llenergymeasure import load_study

        study = load_study("results/batches_2026-01-01T00-00-00Z")
        print(study.to_frame("configuration"))

    Args:
        path: the study's folder, or the ``study_result.json`` in it. A file of an older schema is
            brought up to date.

    Returns:
        The result, which knows its folder (``folder``, ``to_frame``).

    Raises:
        ConfigError: there is no study, or neither its result nor its manifest can be read.
    """
    place = user_path(path)
    folder = place if place.is_dir() else place.parent
    if place.is_dir() and kind_of(place) == "experiment":
        raise ConfigError(f"{place} holds one experiment, not a study; load it with load_result.")
    file = folder / STUDY_RESULT if place.is_dir() or place.name == MANIFEST else place
    wrong: str | None = None
    result: StudyResult | None = None
    if file.exists() or not (folder / MANIFEST).exists():
        try:
            result = _read(file, StudyResult, "result of a study")
        except ConfigError as error:
            if not (folder / MANIFEST).exists():
                raise
            wrong = str(error)
    return study_so_far(folder, result, wrong).located(folder)


def kind_of(folder: Path) -> Literal["experiment", "study"]:
    """What a folder holds.

    Raises:
        ConfigError: it holds no results; the message says where some are.
    """
    try:
        if (folder / MANIFEST).exists() or (folder / STUDY_RESULT).exists():
            return "study"
        if (folder / RESULT).exists():
            return "experiment"
        if not folder.is_dir():
            raise ConfigError(f"there is no folder {folder}; name one that `llem run` made.")
        inside = sorted(
            {p.parent.name for n in (RESULT, MANIFEST) for p in folder.glob(f"*/{n}")}, reverse=True
        )
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}.") from error
    if inside:
        raise ConfigError(
            f"{folder} has no results of its own, but {len(inside)} of its folders have, such as "
            f"{folder / inside[0]}; `llem list {folder}` lists them."
        )
    raise ConfigError(
        f"{folder} holds no results: neither {RESULT} nor {MANIFEST} is in it. Name a folder that "
        "`llem run` made; `llem list` lists them."
    )


def _read(file: Path, kind: type[M], what: str) -> M:
    try:
        return kind.model_validate_json(read_file(file))
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}. Name a folder that `llem run` made; "
            "`llem list` lists them."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        told = f"{place}: {first['msg']}" if place else first["msg"]
        raise ConfigError(f"{file} is no {what} that can be read ({told}).") from error
