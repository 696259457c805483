"""Finds the entry points of installed plugins, and asks each plugin for its specs.

One distribution after the other: ``importlib.metadata.entry_points`` reads all of them at once, and
one with broken metadata then hides every plugin. What the user has turned off is left out.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any, TypeVar

import pluggy

from llem_core.contracts.backend import BackendSpec
from llem_core.contracts.config import BackendSection, Section
from llem_core.contracts.hookspecs import PROJECT
from llem_core.contracts.launcher import LauncherSpec
from llem_core.contracts.sampler import SamplerSpec
from llem_core.contracts.sink import SinkSpec
from llem_core.errors import PluginError
from llem_core.text import nearest

DISABLE_VARIABLE = "LLEM_DISABLE_PLUGINS"
"""Names of plugins, by entry point or distribution, with commas between them."""


class Disabled:
    """The plugins that ``LLEM_DISABLE_PLUGINS`` names.

    Args:
        text: value of the variable.
    """

    def __init__(self, text: str) -> None:
        self._names = [name.strip() for name in text.split(",") if name.strip()]

    def covers(self, found: Found) -> bool:
        """Whether a plugin is turned off."""
        return any(normal(name) in _names(found) for name in self._names)

    def remarks(self, found: Iterable[Found]) -> list[str]:
        """A sentence for each name that turns nothing off."""
        known = sorted({name for each in found for name in _names(each)})
        return [
            f"{DISABLE_VARIABLE} names {name!r}, which is no installed plugin"
            + (f"; did you mean {near!r}?" if (near := nearest(normal(name), known)) else "")
            for name in self._names
            if normal(name) not in known
        ]


def _names(found: Found) -> set[str]:
    names = (found.distribution, found.point.name if found.point else None)
    return {normal(name) for name in names if name}


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


SpecT = TypeVar("SpecT", BackendSpec, SamplerSpec, SinkSpec, LauncherSpec)


@dataclass(frozen=True, slots=True)
class Specs:
    """What one plugin offers."""

    backends: tuple[BackendSpec, ...]
    samplers: tuple[SamplerSpec, ...]
    sinks: tuple[SinkSpec, ...]
    launchers: tuple[LauncherSpec, ...]


def collect_specs(manager: pluggy.PluginManager, plugin: object) -> Specs:
    """Call the registration hooks of one plugin alone.

    Raises:
        PluginError: it returns something else than its contract says.
    """
    return Specs(
        _ask(manager, plugin, "llem_backends", BackendSpec),
        _ask(manager, plugin, "llem_samplers", SamplerSpec),
        _ask(manager, plugin, "llem_sinks", SinkSpec),
        _ask(manager, plugin, "llem_launchers", LauncherSpec),
    )


def _ask(
    manager: pluggy.PluginManager, plugin: object, hook: str, kind: type[SpecT]
) -> tuple[SpecT, ...]:
    others = [other for other in manager.get_plugins() if other is not plugin]
    answers = manager.subset_hook_caller(hook, remove_plugins=others)()
    specs: list[SpecT] = []
    for answer in answers:
        if not isinstance(answer, Iterable):
            raise PluginError(f"{hook} returned {type(answer).__name__}, not a list of specs")
        for spec in answer:
            _check(spec, hook, kind)
            specs.append(spec)
    return tuple(specs)


_TYPES: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "summary": (str,),
    "remedy": (str,),
    "priority": (int, float),
}
_CALLED = ("create", "check", "availability")


def _check(spec: Any, hook: str, kind: type[SpecT]) -> None:
    if not isinstance(spec, kind):
        raise PluginError(
            f"{hook} returned a {type(spec).__name__} where a {kind.__name__} belongs"
        )
    for field, types in _TYPES.items():
        value = getattr(spec, field, None)
        if hasattr(spec, field) and not isinstance(value, types):
            raise PluginError(
                f"{hook} returned a {kind.__name__} whose {field} is {value!r}, "
                f"not {' or '.join(each.__name__ for each in types)}"
            )
    for field in _CALLED:
        if hasattr(spec, field) and not callable(getattr(spec, field)):
            raise PluginError(f"the {field} of {spec.name!r} cannot be called")
    base = BackendSection if isinstance(spec, BackendSpec) else Section
    section = spec.section
    if section is None and not isinstance(spec, BackendSpec):
        return
    if not (isinstance(section, type) and issubclass(section, base)):
        raise PluginError(
            f"the section of {spec.name!r} is not a subclass of llem_core.contracts.{base.__name__}"
        )
    if isinstance(spec, BackendSpec):
        taken = BackendSection.SHARED_FIELDS & set(section.model_fields)
        if taken:
            raise PluginError(
                f"the section of {spec.name!r} declares {', '.join(sorted(taken))}, which every "
                "experiment has already; read it from the workload"
            )
