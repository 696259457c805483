"""Lays the combinations of a sweep over the shared fields, each backend's for itself."""

from __future__ import annotations

import functools
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llem_core.config.errors import Place
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.layers import Layer, lift_path, merge, place_of, said_last, stacked
from llem_core.config.sections import DEFAULT_BACKEND
from llem_core.config.sweep.build import Builder, Part
from llem_core.config.sweep.grammar import Grid
from llem_core.config.sweep.product import GridOfBackend
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
        parts = {name: Part(name, value) for name, value in stacked(layers, backend).items()}
        set_by_over = {path for path, _ in leaves(stacked(self._over, backend))}
        point = {
            ".".join(path): value
            for path, value in leaves(fields)
            if lift_path(path) not in set_by_over
        }
        place = functools.partial(place_of, layers, backend=backend)
        return Combination(point, parts, Builder(backend), place)

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
        set_by_over = {path for path, _ in leaves(stacked(self._over, backend))}
        applying = [d for d in grid.dimensions if d.root not in self._scopes or d.root == backend]
        return GridOfBackend(grid.dimensions, applying, backend, set_by_over)

    def _numbered(self, grid: Grid, backend: Any) -> Iterator[tuple[tuple[int, ...], Combination]]:
        mine = self._of(grid, backend)
        over = stacked(self._over, backend)
        below = stacked(self._shared, backend)
        below["backend"] = backend
        if isinstance(backend, str) and backend in plugins().backends:
            below.setdefault(backend, {})
        builder = Builder(backend)
        constant = {name: Part(name, value) for name, value in merge(below, over).items()}
        known: dict[tuple[str, tuple[int, ...]], dict[str, Part]] = {}
        for numbers in mine.numbers():
            parts = dict(constant)
            for root, slots in mine.roots.items():
                key = (root, tuple([numbers[slot] for slot in slots]))
                if key not in known:
                    field = mine.field(root, below, numbers)
                    if root in over:
                        field = merge(field, {root: over[root]})
                    known[key] = {name: Part(name, value) for name, value in field.items()}
                parts.update(known[key])
            place = functools.partial(self._place, mine, numbers, backend)
            yield numbers, Combination(mine.point(numbers), parts, builder, place)

    def _place(
        self, mine: GridOfBackend, numbers: Sequence[int], backend: Any, location: Location
    ) -> str:
        """Where a field of a combination comes from: over, sweep or shared fields."""
        for path, at in reversed(mine.places(numbers)):
            n = min(len(path), len(location))
            if n and path[:n] == location[:n]:
                return self._document.place((*at, *location[len(path) :]))
        return place_of([*self._shared, *self._over], location, backend)


def leaves(
    fields: Mapping[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of nested mappings with their paths; an empty mapping is a value."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*prefix, str(name)))
        else:
            yield (*prefix, str(name)), value
