"""What a study's folder knows of its own design, and how another design differs from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llem_core.config.execution import ExecutionConfig
from llem_core.config.study import StudyConfig
from llem_core.errors import StudyError
from llem_core.files import read_file, write_atomically
from llem_core.text import without_secrets

DESIGN = "design.json"


def write_design(directory: Path, study: StudyConfig) -> None:
    """Keep the resolved configurations, labels and execution for a later resumption.

    What a key calls a secret is left out; such a study is resumed with its own file.

    Raises:
        StudyError: it cannot be written.
    """
    path = directory / DESIGN
    text = study.model_dump_json(indent=1)
    if any(config.secrets for config in study.experiments):
        text = json.dumps(without_secrets(json.loads(text)), indent=1, ensure_ascii=False)
    try:
        write_atomically(path, text.encode() + b"\n")
    except OSError as error:
        raise StudyError(f"{path} cannot be written: {error.strerror}.") from error


def load_design(directory: Path, design_hash: str) -> StudyConfig:
    """Read it back.

    Args:
        directory: the study's folder.
        design_hash: ``study_design_hash`` of its manifest.

    Raises:
        StudyError: it is missing or damaged, or it does not give that hash with the versions of
            llem and its plugins that are installed now.
    """
    path = directory / DESIGN
    try:
        study = StudyConfig.model_validate_json(read_file(path))
    except OSError as error:
        raise StudyError(
            f"{path} cannot be read: {error.strerror}. Name the study file as well: `llem run "
            f"STUDY.yaml --resume {directory}`."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise StudyError(
            f"{path} is no design that this installation can go on with "
            f"({'.'.join(map(str, first['loc']))}: {first['msg']}); it may have been written by "
            "another version of llem or with plugins that are not installed. Name the study file "
            f"as well: `llem run STUDY.yaml --resume {directory}`."
        ) from error
    if study.study_design_hash != design_hash:
        left_out = {name for config in study.experiments for name in config.secrets}
        if left_out:
            raise StudyError(
                f"{path} leaves out what is secret ({', '.join(sorted(left_out))}). Name the study "
                f"file as well: `llem run STUDY.yaml --resume {directory}`."
            )
        raise StudyError(
            f"{path} gives the design {study.study_design_hash} and the manifest has "
            f"{design_hash}; they were not written by the same study, or by another version of "
            "llem or of a plugin. Run the study anew into another folder."
        )
    return study


def as_started(study: StudyConfig, directory: Path) -> StudyConfig:
    """The study with the execution that its folder says it was started with.

    Args:
        study: of the folder's design.
        directory: the study's folder. Where nothing can be read of it, the study's own stays.
    """
    try:
        stored = json.loads(read_file(directory / DESIGN))
        changes = {"execution": ExecutionConfig.model_validate(stored["execution"])}
        return study.model_copy(update=changes)
    except (OSError, ValueError, KeyError, TypeError):
        return study


_MOST = 5


def difference(before: StudyConfig, after: StudyConfig) -> str:
    """How the configurations of two studies differ, in one sentence; empty if they do not.

    A configuration that is only in one is shown beside the nearest one that is only in the other.
    """
    old, new = _by_hash(before), _by_hash(after)
    gone = [name for name in old if name not in new]
    come = [name for name in new if name not in old]
    parts = []
    for name in gone[:_MOST]:
        near = min(come, key=lambda other: len(_changes(old[name], new[other])), default=None)
        changes = [] if near is None else _changes(old[name], new[near])
        how = f" (nearest now: {'; '.join(changes[:_MOST])})" if changes else ""
        parts.append(f"no longer there is {before.label(name)}{how}")
    if len(gone) > _MOST:
        parts.append(f"and {len(gone) - _MOST} more that are no longer there")
    parts += [f"new is {after.label(name)}" for name in come[:_MOST]]
    if len(come) > _MOST:
        parts.append(f"and {len(come) - _MOST} more that are new")
    return ", ".join(parts)


def _by_hash(study: StudyConfig) -> dict[str, dict[str, Any]]:
    return {
        config.measurement_config_hash: dict(_flat(config.canonical(), ""))
        for config in study.experiments
    }


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    paths = [*old, *(path for path in new if path not in old)]
    return [
        f"{path}: {old.get(path)!r} → {new.get(path)!r}"
        for path in paths
        if old.get(path) != new.get(path)
    ]


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner
