"""Folders of results: named once, never overwritten."""

from __future__ import annotations

import datetime as dt
import os
import re
import tempfile
from itertools import count
from pathlib import Path

from llem_core.errors import PreFlightError

_LONGEST = 80


def check_writable(output: Path) -> None:
    """Find out before anything is measured whether results can be written.

    Tries a file, which is removed at once, in the folder or in the nearest one above it that
    exists; nothing is left behind.

    Raises:
        PreFlightError: they cannot.
    """
    try:
        nearest = output.absolute()
        while not nearest.exists():
            nearest = nearest.parent
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".llem-"):
            pass
    except OSError as error:
        raise PreFlightError(
            f"the output folder {output} cannot be written: {os.strerror(error.errno or 0)}; "
            "choose another with --output."
        ) from error


def new_experiment_folder(output: Path, model: str, backend: str) -> Path:
    """Make ``{output}/{model}_{backend}_{timestamp}``; see ``_new_folder``."""
    return _new_folder(output, f"{_slug(model)}_{backend}")


def new_study_folder(output: Path, name: str) -> Path:
    """Make ``{output}/{name}_{timestamp}``; see ``_new_folder``."""
    return _new_folder(output, name)


def _new_folder(output: Path, beginning: str) -> Path:
    """Make a folder of a new name; a name taken gets ``_1``, ``_2``, …

    The timestamp is UTC. Making the folder is what takes the name, so that two processes
    never share one.

    Raises:
        OSError: it cannot be made.
    """
    stamp = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    name = f"{beginning}_{stamp}"
    output.mkdir(parents=True, exist_ok=True)
    for number in count():
        folder = output / (f"{name}_{number}" if number else name)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")


def _slug(model: str) -> str:
    last = model.rstrip("/").rsplit("/", maxsplit=1)[-1].removeprefix("shape:")
    return re.sub(r"[^A-Za-z0-9.-]+", "-", last).strip(".-")[:_LONGEST] or "model"
