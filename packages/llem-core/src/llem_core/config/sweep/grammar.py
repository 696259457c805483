"""Reads the grammar of ``sweep``: dotted paths to lists, or a list of such maps."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.config.study import STUDY_KEYS
from llem_core.errors import ConfigError
from llem_core.plugins import plugins

MOST_COMBINATIONS = 100_000
"""More are a mistake in the file, or weeks of measuring; each takes some kilobytes here."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One path of a sweep and its values."""

    path: str
    values: Sequence[Any]

    @property
    def root(self) -> str:
        """The path's first part."""
        return self.path.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Grid:
    """A Cartesian product of dimensions, in the order of the file."""

    dimensions: tuple[Dimension, ...]

    def backends(self, default: Any) -> list[Any]:
        """The values of ``backend`` in it; the shared one where it is not swept."""
        swept = [d.values for d in self.dimensions if d.path == "backend"]
        return list(swept[0]) if swept else [default]


def read_sweep(sweep: Any) -> list[Grid]:
    """The grids of a sweep; none where the file says nothing.

    Raises:
        ConfigError: it does not follow the grammar; names the key and the remedy.
    """
    if sweep in (None, {}, []):
        return []
    if isinstance(sweep, Mapping):
        return [_grid(sweep, "sweep")]
    if isinstance(sweep, list):
        return [_grid(item, f"sweep.{number}") for number, item in enumerate(sweep)]
    raise ConfigError(
        f"sweep: {_kind(sweep)} stands where a mapping of paths to lists belongs, such as "
        "`pytorch.batch_size: [1, 8]`, or a list of such mappings."
    )


def known_roots() -> list[str]:
    """Names that a path of an experiment may begin with."""
    return [*ExperimentConfig.model_fields, *plugins().section_names()]


def unknown_key(key: str, known: Sequence[str]) -> str:
    """A hint for a key that is none of the known ones."""
    near = difflib.get_close_matches(str(key), known, n=1)
    return f"did you mean {near[0]!r}?" if near else "no installed plugin owns such a section."


def count(sizes: Iterable[int], where: str) -> int:
    """Sum of sizes.

    Raises:
        ConfigError: it is beyond what one study may have.
    """
    total = sum(sizes)
    if total > MOST_COMBINATIONS:
        raise ConfigError(
            f"{where}: it stands for {total:,} combinations, and a study has {MOST_COMBINATIONS:,} "
            "at the most; sweep fewer values, or write a list of smaller grids."
        )
    return total


def _grid(paths: Any, where: str) -> Grid:
    if not isinstance(paths, Mapping):
        raise ConfigError(
            f"{where}: {_kind(paths)} stands where a mapping of paths to lists belongs, such as "
            "`pytorch.batch_size: [1, 8]`."
        )
    dimensions = tuple(_dimension(path, values, where) for path, values in paths.items())
    _refuse_overlaps([dimension.path for dimension in dimensions], where)
    return Grid(dimensions)


def _dimension(path: Any, values: Any, where: str) -> Dimension:
    if not isinstance(path, str) or not all(path.split(".")):
        raise ConfigError(f"{where}: {path!r} is no path; write it like `pytorch.batch_size`.")
    here = f"{where}.{path}"
    root = path.partition(".")[0]
    if root in STUDY_KEYS:
        raise ConfigError(
            f"{here}: {root!r} belongs to the study as a whole and cannot be swept; write it at "
            "the top of the file."
        )
    if isinstance(values, Mapping):
        inner = next(iter(values), "…")
        raise ConfigError(
            f"{here}: a mapping stands where a list belongs; write the path with dots, "
            f"`{path}.{inner}: […]`, or a list of mappings to sweep whole ones."
        )
    if not isinstance(values, list | tuple):
        raise ConfigError(
            f"{here}: {values!r} is no list; write `[{values}]`, or set {path} outside of sweep."
        )
    if not values:
        raise ConfigError(f"{here}: the list is empty; give it values, or remove the line.")
    return Dimension(path, values)


def _refuse_overlaps(paths: Sequence[str], where: str) -> None:
    for path in paths:
        for other in paths:
            if path.startswith(f"{other}."):
                raise ConfigError(
                    f"{where}: {other} and {path} overlap, since the one is a part of the other; "
                    "sweep one of them, or write a list of grids."
                )


def _kind(value: Any) -> str:
    return f"a {type(value).__name__} ({str(value)[:40]})"
