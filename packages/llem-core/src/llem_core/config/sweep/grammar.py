"""Reads the grammar of ``sweep``: dotted paths to lists, or a list of such maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llem_core.config.errors import KeyedConfigError
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.layers import STUDY_KEYS, lift, lift_path
from llem_core.config.yaml import Location
from llem_core.plugins import plugins

MOST_COMBINATIONS = 100_000
"""More are a mistake in the file, or weeks of measuring; each takes some kilobytes here."""


Path = tuple[str, ...]
Setting = tuple[Path, Any]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One path of a sweep and its values.

    Attributes:
        path: as it is written.
        values: what it takes.
        target: where its field stands, once it is lifted out of its backend's section.
        settings: what each value sets; a whole section may hold shared fields.
        at: where it stands in the file.
    """

    path: str
    values: Sequence[Any]
    target: Path
    settings: Sequence[Sequence[Setting]]
    at: Location

    @property
    def root(self) -> str:
        """The path's first part."""
        return self.path.partition(".")[0]

    @property
    def lifted(self) -> bool:
        """Whether it sets a shared field by the path of a backend's section."""
        return self.path.split(".") != list(self.target)


@dataclass(frozen=True, slots=True)
class Grid:
    """A Cartesian product of dimensions, in the order of the file."""

    dimensions: tuple[Dimension, ...]

    def backends(self, default: Any) -> list[Any]:
        """The values of ``backend`` in it; the shared one where it is not swept."""
        swept = [d.values for d in self.dimensions if d.path == "backend"]
        return list(swept[0]) if swept else [default]


def read_sweep(shared: Mapping[str, Any], sweep: Any) -> list[Grid]:
    """The grids of a sweep; none where the file says nothing.

    Args:
        shared: the shared fields; a list of names under ``backend`` is a dimension, too.
        sweep: what stands under ``sweep``.

    Raises:
        KeyedConfigError: it does not follow the grammar; names the key and the remedy.
    """
    at_top = [dimension("backend", shared["backend"], ("backend",))] if "backend" in shared else []
    if sweep in (None, {}, []):
        return [Grid(tuple(at_top))] if at_top else []
    if isinstance(sweep, Mapping):
        return [_grid(sweep, ("sweep",), at_top)]
    if isinstance(sweep, list):
        return [_grid(item, ("sweep", number), at_top) for number, item in enumerate(sweep)]
    raise KeyedConfigError(
        ("sweep",),
        f"{_kind(sweep)} stands where a mapping of paths to lists belongs, such as "
        "`pytorch.batch_size: [1, 8]`, or a list of such mappings.",
    )


def known_roots() -> list[str]:
    """Names that a path of an experiment may begin with."""
    return [*ExperimentConfig.model_fields, *plugins().section_names()]


def count(sizes: Iterable[int]) -> int:
    """Sum of sizes.

    Raises:
        KeyedConfigError: it is beyond what one study may have.
    """
    total = sum(sizes)
    if total > MOST_COMBINATIONS:
        shown = f"{total:,}" if total < 10**15 else f"more than {10**15:,}"
        raise KeyedConfigError(
            ("sweep",),
            f"it stands for {shown} combinations, and a study has {MOST_COMBINATIONS:,} "
            "at the most; sweep fewer values, or write a list of smaller grids.",
        )
    return total


def _grid(paths: Any, at: Location, first: Sequence[Dimension]) -> Grid:
    if not isinstance(paths, Mapping):
        raise KeyedConfigError(
            at,
            f"{_kind(paths)} stands where a mapping of paths to lists belongs, such as "
            "`pytorch.batch_size: [1, 8]`.",
        )
    own = [dimension(path, values, (*at, path)) for path, values in paths.items()]
    # What a grid says of a path is nearer to the combination than what the top says.
    above = [each for each in first if each.path not in paths]
    _refuse_overlaps([each.path for each in own], at)
    return Grid((*above, *own))


def dimension(path: Any, values: Any, at: Location) -> Dimension:
    """Read one path with its values.

    Raises:
        KeyedConfigError: it does not follow the grammar.
    """
    if not isinstance(path, str) or not all(path.split(".")) or path.count(".") > _DEEPEST:
        raise KeyedConfigError(
            at[:-1], f"{path!r:.60} is no path; write it like `pytorch.batch_size`."
        )
    root = path.partition(".")[0]
    if root in STUDY_KEYS:
        raise KeyedConfigError(
            at,
            f"{root!r} belongs to the study as a whole and cannot be swept; write it at "
            "the top of the file.",
        )
    if isinstance(values, Mapping):
        inner = next(iter(values), "…")
        raise KeyedConfigError(
            at,
            f"a mapping stands where a list belongs; write the path with dots, "
            f"`{path}.{inner}: […]`, or a list of mappings to sweep whole ones.",
        )
    if not isinstance(values, list | tuple):
        shown = str(values)[:60]
        raise KeyedConfigError(
            at, f"{values!r:.60} is no list; write `[{shown}]`, or set {path} outside of sweep."
        )
    if not values:
        raise KeyedConfigError(at, "the list is empty; give it values, or remove the line.")
    target = lift_path(tuple(path.split(".")))
    return Dimension(path, values, target, [_settings(target, v) for v in values], at)


_DEEPEST = 20


def _settings(target: Path, value: Any) -> list[Setting]:
    """What one value of a dimension sets; a whole section may hold shared fields."""
    if len(target) > 1 or not isinstance(value, Mapping):
        return [(target, value)]
    fields, scoped = lift({target[0]: value})
    settings: list[Setting] = [(target, fields[target[0]])]
    for name, shared in scoped.get(target[0], {}).items():
        if isinstance(shared, Mapping):
            settings += [((name, key), inner) for key, inner in shared.items()]
        else:
            settings.append(((name,), shared))
    return settings


def _refuse_overlaps(paths: Sequence[str], at: Location) -> None:
    known = set(paths)
    for path in paths:
        parts = path.split(".")
        for end in range(1, len(parts)):
            other = ".".join(parts[:end])
            if other in known:
                raise KeyedConfigError(
                    at,
                    f"{other} and {path} overlap, since the one is a part of the other; "
                    "sweep one of them, or write a list of grids.",
                )


def _kind(value: Any) -> str:
    return f"a {type(value).__name__} ({str(value)[:40]})"
