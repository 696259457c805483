"""Finds the study that ``--resume`` means, and with what execution it goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llem_core.config.errors import config_error
from llem_core.config.execution import ExecutionConfig
from llem_core.config.study import StudyConfig
from llem_core.errors import ConfigError
from llem_core.files import user_path
from llem_core.study.record.design import as_started
from llem_core.study.record.resume import Resumption, resume_study
from pydantic import ValidationError

from llem_cli.options import LATEST


def find_resumption(
    wanted: str, output: Path, asked: StudyConfig | None, said: Mapping[str, Any]
) -> Resumption:
    """Find the study to go on with.

    It goes on as it was started: what the command line says of ``execution`` now wins over what
    it said then, and a file that asks for more cycles than then gets them.

    Args:
        wanted: what was given to ``--resume``.
        output: where folders of studies lie.
        asked: the study that the command line names beside it, if it names one.
        said: raw fields of ``execution`` on the command line.

    Raises:
        ConfigError: there is no such folder, or a flag cannot be used.
        StudyError: there is nothing to go on with, or it is another study.
    """
    directory = None if wanted == LATEST else study_folder(wanted, output)
    changes = dict(said)
    if asked is None:
        stored = resume_study(directory, output)
        if not changes:
            return stored
        study, directory, notes = stored.study, stored.directory, stored.notes
    else:
        # Any number of cycles will do to find it; how many it has is decided below.
        most = with_execution(asked, {"n_cycles": _MOST_CYCLES})
        found = resume_study(directory, output, most)
        directory, notes = found.directory, found.notes
        study = as_started(asked, directory)
        cycles = max(study.execution.n_cycles, asked.execution.n_cycles)
        changes.setdefault("n_cycles", cycles)
    changed = resume_study(directory, output, with_execution(study, changes))
    return replace(changed, notes=notes)


def with_execution(study: StudyConfig, changes: Mapping[str, Any]) -> StudyConfig:
    """The same study with other fields of ``execution``.

    Raises:
        ConfigError: a field cannot have that value.
    """
    if not changes:
        return study
    stated = {name: getattr(study.execution, name) for name in study.execution.model_fields_set}
    try:
        execution = ExecutionConfig.model_validate({**stated, **changes})
    except ValidationError as error:
        raise config_error(error, "command line: execution", ExecutionConfig) from error
    return study.model_copy(update={"execution": execution})


def study_folder(wanted: str, output: Path) -> Path:
    """The study's folder, which may be named by one of its files, or by its name in ``output``.

    Raises:
        ConfigError: there is no such folder.
    """
    path = user_path(wanted)
    with contextlib.suppress(OSError):  # a name that is too long, a folder that is closed
        for folder in (path, output / path):
            if folder.is_dir():
                return folder
            if folder.is_file() and folder.name in {"manifest.json", "study_result.json"}:
                return folder.parent
    shown = wanted if len(wanted) <= 200 else f"{wanted[:199]}…"
    raise ConfigError(
        f"--resume {shown}: there is no such folder; give that of a study, which lies in {output} "
        "unless --output said otherwise, or --resume alone for the latest one."
    )


_MOST_CYCLES = 10_000
