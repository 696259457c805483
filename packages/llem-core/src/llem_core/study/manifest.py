"""The checkpoint of a study: ``manifest.json``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llem_core.errors import StudyError
from llem_core.events import RunStatus

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
MANIFEST_HISTORY = {1: "first version"}

StudyStatus = Literal["running", "completed", "failed", "interrupted"]

_STRICT = ConfigDict(extra="forbid", defer_build=True)


class ManifestEntry(BaseModel):
    """One run of a study, or one combination that never runs."""

    model_config = _STRICT

    config_hash: str = Field(
        description="measurement_config_hash; of a skipped combination, a hash of its raw fields."
    )
    cycle: int = Field(ge=0, description="Repetition, from 1; 0 for a skipped combination.")
    status: RunStatus = Field("pending", description="Where it stands.")
    result_file: str | None = Field(
        None, description="Its result.json, relative to the manifest, once it is completed."
    )
    error: str | None = Field(None, description="Why it has no result: type and message.")
    attempt: int = Field(0, ge=0, description="Starts so far.")
    pid: int | None = Field(None, description="Process of the last start.")
    started_at: str | None = Field(None, description="Last start (ISO 8601, UTC).")
    finished_at: str | None = Field(None, description="End of the last start (ISO 8601, UTC).")

    @property
    def key(self) -> tuple[str, int]:
        """What names the run: hash and cycle."""
        return self.config_hash, self.cycle


class StudyManifest(BaseModel):
    """Where a study stands: replaced on the disk after every transition of every run."""

    model_config = _STRICT

    manifest_version: Literal[1] = Field(1, description="Version of this schema.")
    study_name: str = Field(description="Name of the study.")
    study_design_hash: str = Field(description="Names the set of configurations.")
    status: StudyStatus = Field("running", description="Where the study stands.")
    pid: int | None = Field(None, description="Process that runs or ran the study.")
    started_at: str = Field(description="When it started first (ISO 8601, UTC).")
    finished_at: str | None = Field(None, description="When it ended last (ISO 8601, UTC).")
    elapsed_s: float = Field(0.0, ge=0, description="Time spent so far, over all starts (s).")
    experiments: list[ManifestEntry] = Field(description="The runs, in execution order.")

    def runs(self) -> Iterator[ManifestEntry]:
        """Entries that run, skipped combinations left out."""
        return (entry for entry in self.experiments if entry.status != "skipped")


def load_manifest(directory: Path) -> StudyManifest:
    """Read the manifest of a study's folder.

    Raises:
        StudyError: there is none, or it is no manifest; the message says what to do.
    """
    path = directory / MANIFEST
    try:
        return StudyManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise StudyError(
            f"{directory} holds no {MANIFEST}, so it is no study's folder; name the folder that "
            "`llem run` made for the study."
        ) from error
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = f"{place}: {first['msg']}" if place else first["msg"]
        raise StudyError(
            f"{path} is no manifest that this version of llem can go on with ({what}); the "
            "results beside it are intact. Run the study anew into another folder, or put the "
            "manifest back from a copy."
        ) from error
