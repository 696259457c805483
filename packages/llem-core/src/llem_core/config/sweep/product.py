"""The Cartesian product of one grid, as one backend sees it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from llem_core.config.errors import KeyedConfigError
from llem_core.config.sweep.grammar import Dimension, Path, Setting
from llem_core.config.yaml import Location


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
