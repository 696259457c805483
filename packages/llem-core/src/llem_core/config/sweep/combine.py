"""Lays the combinations of a sweep over the shared fields, each backend's for itself."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.config.layers import merge
from llem_core.config.sections import DEFAULT_BACKEND, hoist, lay
from llem_core.config.sweep.build import Builder, Part
from llem_core.config.sweep.grammar import Grid
from llem_core.config.sweep.product import GridOfBackend, target
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
    """

    point: Point
    parts: Mapping[str, Part]
    builder: Builder

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
        shared: raw fields that every experiment has.
        over: raw fields of the environment and the command line.
        scopes: names that are backends', beside those of the installed ones.
    """

    def __init__(
        self, shared: Mapping[str, Any], over: Mapping[str, Any], scopes: Iterable[str]
    ) -> None:
        self._shared = shared
        self._over = over
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
            ConfigError: a path leads through a value that has no keys.
        """
        ordered = [self._numbered(grid, backend) for backend in self._backends(grid)]
        # Each backend's own are in order already; a path that does not apply to a backend counts
        # as its first value there.
        for _, combination in heapq.merge(*ordered, key=lambda pair: pair[0]):
            yield combination

    def entry(self, fields: Mapping[str, Any]) -> Combination:
        """One item of ``experiments``, merged over the shared fields."""
        backend = {**self._shared, **fields, **self._over}.get("backend", DEFAULT_BACKEND)
        over = hoist(self._over, backend)
        merged = merge(hoist(lay(self._shared, fields), backend), over)
        parts = {name: Part(name, value) for name, value in merged.items()}
        set_by_over = {path for path, _ in leaves(over)}
        point = {
            ".".join(path): value
            for path, value in leaves(fields)
            if target(".".join(path), backend) not in set_by_over
        }
        return Combination(point, parts, Builder(backend))

    def _backends(self, grid: Grid) -> list[Any]:
        """The backends that a grid's combinations have, in order, each once."""
        if "backend" in self._over:
            return [self._over["backend"]]
        found: list[Any] = []
        for backend in grid.backends(self._shared.get("backend", DEFAULT_BACKEND)):
            if backend not in found:
                found.append(backend)
        return found

    def _of(self, grid: Grid, backend: Any) -> GridOfBackend:
        over = hoist(self._over, backend)
        set_by_over = {path for path, _ in leaves(over)}
        applying = [d for d in grid.dimensions if d.root not in self._scopes or d.root == backend]
        return GridOfBackend(grid.dimensions, applying, backend, set_by_over)

    def _numbered(self, grid: Grid, backend: Any) -> Iterator[tuple[tuple[int, ...], Combination]]:
        mine = self._of(grid, backend)
        over = hoist(self._over, backend)
        below = hoist(self._shared, backend)
        below["backend"] = backend
        if backend in plugins().backends:
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
            yield numbers, Combination(mine.point(numbers), parts, builder)


def leaves(
    fields: Mapping[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of nested mappings with their paths; an empty mapping is a value."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*prefix, str(name)))
        else:
            yield (*prefix, str(name)), value
