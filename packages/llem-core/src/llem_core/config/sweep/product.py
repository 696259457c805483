"""The combinations of a sweep, each backend's for itself, laid over the shared fields."""

from __future__ import annotations

import functools
import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from llem_core.config.errors import KeyedConfigError, Place
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.layers import Layer, leaves, lift_path, merge, place_of, said_last, stacked
from llem_core.config.sections import DEFAULT_BACKEND
from llem_core.config.sweep.build import Builder, Part
from llem_core.config.sweep.grammar import Dimension, Grid, Path, Setting
from llem_core.config.yaml import Document, Location
from llem_core.plugins import plugins

Point = dict[str, Any]
"""What one combination sets: path to value."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One combination before it is validated.

    Attributes:
        point: what it sets, for its label.
        parts: its fields, all layers merged.
        builder: makes the experiment of them.
        place: gives the origin of a field, such as ``study.yaml:12``.
    """

    point: Point
    parts: Mapping[str, Part]
    builder: Builder
    place: Place

    def fields(self) -> dict[str, Any]:
        """Its raw fields."""
        return {name: part.raw for name, part in self.parts.items()}

    def build(self) -> ExperimentConfig:
        """Validate it.

        Raises:
            pydantic.ValidationError: it is no valid experiment.
        """
        return self.builder.build(self.parts)


@dataclass(frozen=True, slots=True)
class Common:
    """What all combinations of one backend have in common.

    Attributes:
        below: fields that a combination is laid over.
        over: fields that are laid over a combination.
        parts: both together, key by key.
        set_by_over: paths of ``over``.
        builder: makes experiments.
    """

    below: dict[str, Any]
    over: dict[str, Any]
    parts: dict[str, Part]
    set_by_over: set[Path]
    builder: Builder

    def part(self, name: str, value: Any) -> Part:
        """The part of a value; the common one where it is the same object."""
        mine = self.parts.get(name)
        return mine if mine is not None and mine.raw is value else Part(name, value)


class Layers:
    """The shared fields of a study and what wins over its sweep.

    Args:
        shared: what every experiment has, the lowest layer first; the last one is the file.
        over: the environment and the command line.
        scopes: names that are backends', beside those of the installed ones.
    """

    def __init__(
        self, shared: Sequence[Layer], over: Sequence[Layer], scopes: Iterable[str]
    ) -> None:
        self._shared = shared
        self._over = over
        self._document = shared[-1].document
        self._scopes = {*scopes, *plugins().backends.names()}
        self._commons: dict[str, Common] = {}

    def size(self, grid: Grid) -> int:
        """Combinations that a grid stands for, those that will be found identical included."""
        return sum(self._of(grid, backend).n_written for backend in self._backends(grid))

    def fixed(self, grid: Grid) -> dict[str, str]:
        """Swept paths that have no effect since ``over`` sets them, each with a sentence."""
        said: dict[str, str] = {}
        for backend in self._backends(grid):
            for dimension in self._of(grid, backend).fixed:
                said[dimension.path] = (
                    f"sweep.{dimension.path}: its {len(dimension.values)} values are as one, since "
                    "the command line or the environment sets it"
                )
        return said

    def combinations(self, grid: Grid) -> Iterator[Combination]:
        """All combinations of a grid, in the order of its keys.

        Raises:
            KeyedConfigError: a path leads through a value that has no keys.
        """
        ordered = [self._numbered(grid, backend) for backend in self._backends(grid)]
        # Each backend's own are in order already; a path that does not apply to a backend counts
        # as its first value there.
        for _, combination in heapq.merge(*ordered, key=lambda pair: pair[0]):
            yield combination

    def entry(self, fields: Mapping[str, Any], number: int) -> Combination:
        """One item of ``experiments``, merged over the shared fields."""
        item = Document(self._document.source, fields, self._document.root)
        layers = [*self._shared, Layer.read(item, at=("experiments", number)), *self._over]
        backend = said_last(layers, "backend", DEFAULT_BACKEND)
        common = self._common(backend)
        parts = {name: common.part(name, value) for name, value in stacked(layers, backend).items()}
        if isinstance(backend, str) and backend in common.parts:
            parts.setdefault(backend, common.parts[backend])
        point = {
            ".".join(path): value
            for path, value in leaves(fields)
            if lift_path(path) not in common.set_by_over
        }
        place = functools.partial(place_of, layers, backend=backend)
        return Combination(point, parts, common.builder, place)

    def _common(self, backend: Any) -> Common:
        """What all combinations of a backend share; made once, however many grids there are."""
        key = backend if isinstance(backend, str) else repr(backend)
        if key not in self._commons:
            below = stacked(self._shared, backend)
            below["backend"] = backend
            if isinstance(backend, str) and backend in plugins().backends:
                below.setdefault(backend, {})
            over = stacked(self._over, backend)
            parts = {name: Part(name, value) for name, value in merge(below, over).items()}
            set_by_over = {path for path, _ in leaves(over)}
            self._commons[key] = Common(below, over, parts, set_by_over, Builder(backend))
        return self._commons[key]

    def _backends(self, grid: Grid) -> list[Any]:
        """The backends that a grid's combinations have, in order, each once."""
        said = said_last(self._over, "backend", None)
        if said is not None:
            return [said]
        found: list[Any] = []
        for backend in grid.backends(said_last(self._shared, "backend", DEFAULT_BACKEND)):
            if backend not in found:
                found.append(backend)
        return found

    def _of(self, grid: Grid, backend: Any) -> GridOfBackend:
        applying = [d for d in grid.dimensions if d.root not in self._scopes or d.root == backend]
        return GridOfBackend(grid.dimensions, applying, backend, self._common(backend).set_by_over)

    def _numbered(self, grid: Grid, backend: Any) -> Iterator[tuple[tuple[int, ...], Combination]]:
        mine = self._of(grid, backend)
        common = self._common(backend)
        below, over = common.below, common.over
        known: dict[tuple[str, tuple[int, ...]], dict[str, Part]] = {}
        for numbers in mine.numbers():
            parts = dict(common.parts)
            for root, slots in mine.roots.items():
                key = (root, tuple([numbers[slot] for slot in slots]))
                if key not in known:
                    field = mine.field(root, below, numbers)
                    if root in over:
                        field = merge(field, {root: over[root]})
                    known[key] = {name: Part(name, value) for name, value in field.items()}
                parts.update(known[key])
            place = functools.partial(self._place, mine, numbers, backend)
            yield numbers, Combination(mine.point(numbers), parts, common.builder, place)

    def _place(
        self, mine: GridOfBackend, numbers: Sequence[int], backend: Any, location: Location
    ) -> str:
        """Where a field of a combination comes from: over, sweep or shared fields."""
        for path, at in reversed(mine.places(numbers)):
            n = min(len(path), len(location))
            if n and path[:n] == location[:n]:
                return self._document.place((*at, *location[len(path) :]))
        return place_of([*self._shared, *self._over], location, backend)


class GridOfBackend:
    """The combinations of one grid that have one backend.

    Args:
        dimensions: all of the grid.
        applying: those that are not scoped to another backend.
        backend: the backend.
        set_by_over: paths that are set over the sweep, the backend's shared fields at the top.

    Attributes:
        roots: first parts of paths that the grid sets, each with the dimensions that do, as
            positions in ``dimensions``.
        fixed: dimensions without effect, since something over the sweep sets their path.
        n_written: combinations that the file stands for, those of ``fixed`` included.
    """

    def __init__(
        self,
        dimensions: Sequence[Dimension],
        applying: Sequence[Dimension],
        backend: Any,
        set_by_over: set[Path],
    ) -> None:
        self._dimensions = dimensions
        self._backend = backend
        self.fixed: list[Dimension] = []
        self._settings: dict[int, Sequence[Sequence[Setting]]] = {}
        for slot, dimension in enumerate(dimensions):
            if dimension not in applying or dimension.path == "backend":
                continue
            if any(dimension.target[: len(path)] == path for path in set_by_over):
                self.fixed.append(dimension)
            else:
                self._settings[slot] = dimension.settings
        # A scoped field wins over the general one, whichever comes first in the file.
        self._order = sorted(self._settings, key=lambda slot: dimensions[slot].lifted)
        self.roots: dict[str, list[int]] = {}
        for slot in self._order:
            for root in dict.fromkeys(p[0] for each in self._settings[slot] for p, _ in each):
                self.roots.setdefault(root, []).append(slot)
        named = [d.values.count(backend) for d in dimensions if d.path == "backend"]
        mine = (len(d.values) for d in applying if d.path != "backend")
        self.n_written = math.prod(mine) * math.prod(max(times, 1) for times in named)

    def numbers(self) -> Iterator[tuple[int, ...]]:
        """Which value each dimension has, combination by combination, in the file's order."""
        return product(*(self._numbers(slot) for slot in range(len(self._dimensions))))

    def point(self, numbers: Sequence[int]) -> dict[str, Any]:
        """What a combination sets, path to value."""
        return {
            dimension.path: dimension.values[number]
            for slot, (dimension, number) in enumerate(zip(self._dimensions, numbers, strict=True))
            if slot in self._settings or dimension.path == "backend"
        }

    def places(self, numbers: Sequence[int]) -> list[tuple[Path, Location]]:
        """Where in the file a combination's settings stand, by the path of their field."""
        pairs = zip(self._dimensions, numbers, strict=True)
        chosen = [(dimension, (*dimension.at, number)) for dimension, number in pairs]
        found = [(each.target, at) for each, at in chosen if each.path == "backend"]
        for slot in self._order:
            each, at = chosen[slot]
            for path, _ in each.settings[numbers[slot]]:
                found.append((path, at))
        return found

    def field(self, root: str, below: Mapping[str, Any], numbers: Sequence[int]) -> dict[str, Any]:
        """One key of an experiment with what the combination sets in it; empty if nothing does.

        Args:
            root: the key.
            below: the fields that the sweep is laid over; they are not changed.
            numbers: the combination.

        Raises:
            KeyedConfigError: a path leads through a value that has no keys.
        """
        fields = {root: below[root]} if root in below else {}
        ours: dict[Path, dict[str, Any]] = {(): fields}
        for slot in self.roots[root]:
            for path, value in self._settings[slot][numbers[slot]]:
                if path[0] == root:
                    _set(ours, path, value, self._dimensions[slot])
        return fields

    def _numbers(self, slot: int) -> Sequence[int]:
        dimension = self._dimensions[slot]
        if dimension.path == "backend":
            found = [n for n, value in enumerate(dimension.values) if value == self._backend]
            return found or [0]
        return range(len(dimension.values)) if slot in self._settings else [0]


def _set(ours: dict[Path, dict[str, Any]], at: Path, value: Any, dimension: Dimension) -> None:
    """Set a value; mappings on the way that are not among ``ours`` are copied first."""
    here = ours.get(at[:-1])
    if here is None:
        here = _open(ours, at[:-1], dimension)
    here[at[-1]] = value
    if at in ours:  # what has been set below it is gone
        for below in [each for each in ours if each[: len(at)] == at]:
            del ours[below]


def _open(ours: dict[Path, dict[str, Any]], at: Path, dimension: Dimension) -> dict[str, Any]:
    """The mapping at a path, as one of ``ours``."""
    found = ours.get(at)
    if found is not None:
        return found
    parent = _open(ours, at[:-1], dimension)
    below = parent.get(at[-1])
    if at == ("dataset",) and isinstance(below, str):
        below = {"source": below}
    if below is not None and not isinstance(below, Mapping):
        raise KeyedConfigError(
            dimension.at,
            f"{'.'.join(at)} is {below!r:.60}, which has no keys "
            "below it; sweep it as a whole, or correct the path.",
        )
    parent[at[-1]] = ours[at] = dict(below or {})
    return ours[at]
