"""What a study's folder knows of its own design: ``design.json``, beside the manifest."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from llem_core.atomic import write_atomically
from llem_core.config.study import StudyConfig
from llem_core.errors import StudyError

DESIGN = "design.json"


def write_design(directory: Path, study: StudyConfig) -> None:
    """Keep the resolved configurations, labels and execution for a later resumption.

    Raises:
        StudyError: it cannot be written.
    """
    path = directory / DESIGN
    try:
        write_atomically(path, study.model_dump_json(indent=1).encode() + b"\n")
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
        study = StudyConfig.model_validate_json(path.read_bytes())
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
        raise StudyError(
            f"{path} gives the design {study.study_design_hash} and the manifest has "
            f"{design_hash}; they were not written by the same study, or by another version of "
            "llem or of a plugin. Run the study anew into another folder."
        )
    return study
