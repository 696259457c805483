"""Lists the experiments and studies in a folder, from their summaries alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from llem_core.errors import ConfigError, StudyError
from llem_core.files import read_file
from llem_core.results.migrate import migrate_experiment, migrate_study
from llem_core.study.reading.load import RESULT, STUDY_RESULT
from llem_core.study.record.manifest import MANIFEST, load_manifest


@dataclass(frozen=True, slots=True)
class Listed:
    """One experiment or study, in a few figures.

    Attributes:
        folder: where it lies.
        kind: what it is.
        started_at: ISO 8601, UTC; ``None`` where it cannot be read.
        name: model of an experiment, name of a study.
        backend: that of an experiment; ``None`` for a study.
        status: ``completed``, ``failed``, ``interrupted``, ``running`` or ``unreadable``.
        n_completed, n_runs: runs with a result, and all.
        energy_per_output_token_j: gross (J); of a study, that of the configuration that takes
            least. ``None`` where it was not measured.
        energy_method: how that energy was obtained.
        output_tokens_per_second: of the same configuration (1/s).
        problem: why it cannot be read.
    """

    folder: Path
    kind: Literal["experiment", "study"]
    started_at: str | None
    name: str
    backend: str | None
    status: str
    n_completed: int
    n_runs: int
    energy_per_output_token_j: float | None = None
    energy_method: str | None = None
    output_tokens_per_second: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds.

    Attributes:
        entries: the newest first.
        n_all: how many there are, with those that were not read.
    """

    entries: tuple[Listed, ...]
    n_all: int


def list_results(output: Path, most: int | None = None) -> Listing:
    """List what ``llem run`` wrote into a folder, the newest first.

    One small file of each is read, and only of those that are listed. What cannot be read is an
    entry that says why.

    Args:
        output: folder in which the folders of experiments and studies lie.
        most: how many to list; all if not given.

    Raises:
        ConfigError: the folder cannot be read, or there is none.
    """
    try:
        folders = [path for path in output.iterdir() if path.is_dir()]
        found = [(path, kind) for path in folders if (kind := _kind(path)) is not None]
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no folder {output}: nothing was run into it yet. `llem run` makes it; "
            "results elsewhere are listed with `llem list FOLDER`."
        ) from error
    except OSError as error:
        raise ConfigError(f"{output} cannot be read: {error.strerror}.") from error
    found.sort(key=lambda one: _when(one[0]), reverse=True)
    return Listing(tuple(_listed(path, kind) for path, kind in found[:most]), len(found))


def _kind(folder: Path) -> Literal["experiment", "study"] | None:
    if (folder / RESULT).exists():
        return "experiment"
    with_study = (folder / MANIFEST).exists() or (folder / STUDY_RESULT).exists()
    return "study" if with_study else None


_TIMESTAMP = re.compile(r"_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(?:_(\d+))?$")


def _when(folder: Path) -> tuple[str, int]:
    """What its name says of its start; the file system's time where a name was changed."""
    named = _TIMESTAMP.search(folder.name)
    if named is not None:
        return named[1], int(named[2] or 0)
    import datetime as dt  # only for renamed folders

    moment = 0.0
    with suppress(OSError):
        moment = folder.stat().st_mtime
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%dT%H-%M-%SZ"), 0


def _listed(folder: Path, kind: Literal["experiment", "study"]) -> Listed:
    try:
        return _experiment(folder) if kind == "experiment" else _study(folder)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, StudyError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, KeyError | TypeError):
            why = "it is damaged: a part is missing"
        return Listed(folder, kind, None, folder.name, None, "unreadable", 0, 0, problem=why)


def _experiment(folder: Path) -> Listed:
    content = migrate_experiment(json.loads(read_file(folder / RESULT)))
    return Listed(
        folder=folder,
        kind="experiment",
        started_at=str(content["started_at"]),
        name=str(content["model"]),
        backend=str(content["backend"]),
        status="completed",
        n_completed=1,
        n_runs=1,
        energy_per_output_token_j=_number(content["energy_per_output_token_j"]),
        energy_method=content["energy_method"],
        output_tokens_per_second=_number(content["output_tokens_per_second"]),
    )


def _study(folder: Path) -> Listed:
    if not (folder / STUDY_RESULT).exists():
        return _unfinished(folder)
    content = migrate_study(json.loads(read_file(folder / STUDY_RESULT)))
    best = next(_best_first(content["configurations"]), {})
    energy, speed = best.get("energy_per_output_token_j"), best.get("output_tokens_per_second")
    return Listed(
        folder=folder,
        kind="study",
        started_at=str(content["started_at"]),
        name=str(content["study_name"]),
        backend=None,
        status=str(content["status"]),
        n_completed=int(content["summary"]["n_completed"]),
        n_runs=int(content["summary"]["n_runs"]),
        energy_per_output_token_j=_number(energy and energy["mean"]),
        energy_method=best.get("energy_method"),
        output_tokens_per_second=_number(speed and speed["mean"]),
    )


def _unfinished(folder: Path) -> Listed:
    manifest = load_manifest(folder)
    statuses = [entry.status for entry in manifest.runs()]
    return Listed(
        folder=folder,
        kind="study",
        started_at=manifest.started_at,
        name=manifest.study_name,
        backend=None,
        status=manifest.status,
        n_completed=statuses.count("completed"),
        n_runs=len(statuses),
    )


def _best_first(configurations: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The one ranked first; without ranks the first of the file that has a result."""
    yield from (one for one in configurations if one.get("rank") == 1)
    yield from (one for one in configurations if one.get("n_completed"))


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
