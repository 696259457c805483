"""Lays the combinations of a sweep over the shared fields, each backend's for itself."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from llem_core.config.layers import merge
from llem_core.config.sections import DEFAULT_BACKEND, hoist, lay
from llem_core.contracts.section import BackendSection
from llem_core.errors import ConfigError
from llem_core.plugins import plugins
from llem_core.study.sweep import Dimension, Grid

Point = dict[str, Any]
"""What one combination sets: path to value."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One combination before it is validated.

    Attributes:
        point: what it sets, for its label.
        fields: its raw fields, all layers merged. Parts that it has in common with others
            are the same objects; nobody may change them.
    """

    point: Point
    fields: dict[str, Any]


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

    def backends(self, grid: Grid) -> list[Any]:
        """The backends that a grid's combinations have, in order, each once."""
        if "backend" in self._over:
            return [self._over["backend"]]
        found: list[Any] = []
        for backend in grid.backends(self._shared.get("backend", DEFAULT_BACKEND)):
            if backend not in found:
                found.append(backend)
        return found

    def applying(self, grid: Grid, backend: Any) -> list[Dimension]:
        """The dimensions of a grid that multiply the experiments of one backend."""
        kept = []
        for dimension in grid.dimensions:
            if dimension.path == "backend" and "backend" not in self._over:
                values = [value for value in dimension.values if value == backend]
                kept.append(Dimension("backend", values))
            elif dimension.root not in self._scopes or dimension.root == backend:
                kept.append(dimension)
        return kept

    def combinations(self, grid: Grid) -> Iterator[Combination]:
        """All combinations of a grid, in the order of its keys."""
        ordered = [self._of_backend(grid, backend) for backend in self.backends(grid)]
        # Each backend's own are in order already; a scoped path counts as its first value
        # for the other backends.
        for _, combination in heapq.merge(*ordered, key=lambda pair: pair[0]):
            yield combination

    def entry(self, fields: Mapping[str, Any]) -> Combination:
        """One item of ``experiments``, merged over the shared fields."""
        backend = {**self._shared, **fields, **self._over}.get("backend", DEFAULT_BACKEND)
        merged = merge(hoist(lay(self._shared, fields), backend), hoist(self._over, backend))
        return Combination(dict(leaves(fields)), merged)

    def _of_backend(
        self, grid: Grid, backend: Any
    ) -> Iterator[tuple[tuple[int, ...], Combination]]:
        applying = {dimension.path: dimension for dimension in self.applying(grid, backend)}
        numbered = [_numbered(dimension, applying) for dimension in grid.dimensions]
        paths = [dimension.path for dimension in grid.dimensions]
        targets = [_target(path, backend) for path in paths]
        # A scoped field wins over the general one, whichever comes first in the file.
        order = sorted(range(len(paths)), key=lambda i: paths[i] != ".".join(targets[i]))
        proto = hoist(self._shared, backend)
        proto.setdefault("backend", DEFAULT_BACKEND)
        over = hoist(self._over, backend)
        for chosen in product(*numbered):
            fields = dict(proto)
            point: Point = {}
            for i in order:
                if paths[i] in applying:
                    _set(fields, targets[i], chosen[i][1], paths[i])
            for path, (_, value) in zip(paths, chosen, strict=True):
                if path in applying:
                    point[path] = value
            if over:
                fields = merge(fields, over)
            yield tuple(number for number, _ in chosen), Combination(point, fields)


def leaves(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings with their paths; an empty mapping is a value."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _numbered(dimension: Dimension, applying: Mapping[str, Dimension]) -> Sequence[tuple[int, Any]]:
    if dimension.path not in applying:
        return [(0, None)]
    allowed = applying[dimension.path].values
    pairs = list(enumerate(dimension.values))
    if dimension.path == "backend":
        return [(number, value) for number, value in pairs if value in allowed]
    return pairs


def _target(path: str, backend: Any) -> tuple[str, ...]:
    parts = path.split(".")
    if parts[0] == backend and len(parts) > 1 and parts[1] in BackendSection.SHARED_FIELDS:
        return tuple(parts[1:])
    return tuple(parts)


def _set(fields: dict[str, Any], parts: Sequence[str], value: Any, path: str) -> None:
    """Set a value in ``fields``; mappings on the way are copied, since others share them."""
    here = fields
    for depth, part in enumerate(parts[:-1]):
        below = here.get(part)
        if depth == 0 and part == "dataset" and isinstance(below, str):
            below = {"source": below}
        if below is not None and not isinstance(below, Mapping):
            raise ConfigError(
                f"sweep.{path}: {'.'.join(parts[: depth + 1])} is {below!r}, which has no keys "
                "below it; sweep it as a whole, or correct the path."
            )
        here[part] = dict(below or {})
        here = here[part]
    here[parts[-1]] = value
