"""Finds the entry points of installed plugins, one distribution after the other.

``importlib.metadata.entry_points`` reads all distributions at once, and one with broken metadata
then hides every plugin.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions

from llem_core.contracts.hookspecs import PROJECT

_FILE = "entry_points.txt"


@dataclass(frozen=True, slots=True)
class Found:
    """An entry point, or why a distribution's cannot be read.

    Attributes:
        distribution: name of the distribution, as far as it has one.
        version: its version, as far as it has one.
        point: the entry point.
        problem: why there is none.
    """

    distribution: str | None
    version: str | None
    point: EntryPoint | None = None
    problem: str = ""


def installed() -> Iterator[Found]:
    """Every entry point of the group ``llem``; of two distributions of one name, the first on
    the path counts, as it does for importing."""
    seen: set[str] = set()
    for distribution in distributions():
        # Most distributions are no plugins: those are not looked at any further.
        try:
            text = distribution.read_text(_FILE) or ""
        except (OSError, UnicodeDecodeError) as error:
            yield Found(*origin(distribution), problem=f"its {_FILE} cannot be read ({error})")
            continue
        if f"[{PROJECT}]" not in text:
            continue
        name, version = origin(distribution)
        if normal(name or "") in seen:
            continue
        seen.add(normal(name or ""))
        yield from _of(distribution, name, version)


def origin(distribution: Distribution | None) -> tuple[str | None, str | None]:
    """Name and version of a distribution, as far as its metadata can be read."""
    if distribution is None:
        return None, None
    name: str | None = None
    version: str | None = None
    # It may be broken in one of many ways, by Python's version.
    with contextlib.suppress(Exception):
        metadata = distribution.metadata
        name, version = metadata["Name"], metadata["Version"]
    # Where there is no metadata, the folder's name tells: `<name>-<version>.dist-info`.
    folder = getattr(getattr(distribution, "_path", None), "stem", "")
    from_folder = folder.partition("-")
    return name or from_folder[0] or None, version or from_folder[2] or None


def normal(name: str) -> str:
    """A distribution's name as installers compare it: ``llem_pytorch`` is ``llem-pytorch``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _of(distribution: Distribution, name: str | None, version: str | None) -> Iterator[Found]:
    try:
        points = [p for p in distribution.entry_points if p.group == PROJECT]
    except Exception as error:  # noqa: BLE001 - a malformed line raises whatever it meets
        told = f"its {_FILE} cannot be read ({type(error).__name__}: {error})"
        yield Found(name, version, problem=told)
        return
    for point in points:
        yield Found(name, version, point)
