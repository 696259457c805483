"""Loads plugins one by one; a broken one is kept with its reason and harms no other."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import pluggy

from llem_core.contracts import hookspecs
from llem_core.contracts.backend import BackendSpec
from llem_core.contracts.sampler import SamplerSpec
from llem_core.contracts.section import Section
from llem_core.contracts.sink import SinkSpec
from llem_core.errors import PluginError
from llem_core.plugins.collect import collect_specs
from llem_core.plugins.registry import Registry

DISABLE_VARIABLE = "LLEM_DISABLE_PLUGINS"
SLOW_IMPORT_S = 1.0


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin that works.

    Attributes:
        name: its entry point, or the name that it was registered under.
        distribution: the distribution it came from, or ``None`` for a registered object.
        version: that distribution's version.
        notes: what is odd about it, such as printing at import.
    """

    name: str
    distribution: str | None
    version: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PluginProblem:
    """A plugin, or a part of one, that cannot be used, and why."""

    name: str
    distribution: str | None
    version: str | None
    reason: str


class Plugins:
    """The plugins of a process and what they offer.

    Attributes:
        backends, samplers, sinks: specs by name.
        loaded: plugins that work, in the order in which they were loaded.
        problems: those that do not, with the reason.
    """

    def __init__(self) -> None:
        self.backends: Registry[BackendSpec] = Registry("backend")
        self.samplers: Registry[SamplerSpec] = Registry("sampler")
        self.sinks: Registry[SinkSpec] = Registry("sink")
        self.loaded: list[LoadedPlugin] = []
        self.problems: list[PluginProblem] = []
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    @property
    def hook(self) -> pluggy.HookRelay:
        """The event hooks of all plugins."""
        return self._manager.hook

    def load_installed(self, points: Iterable[EntryPoint] | None = None) -> None:
        """Load every installed plugin of the entry-point group ``llem``.

        Args:
            points: entry points to load instead of the installed ones.
        """
        disabled = {
            name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()
        }
        found = entry_points(group=hookspecs.PROJECT) if points is None else points
        seen: set[tuple[str, str, str | None]] = set()
        for point in sorted(found, key=lambda point: (point.name, point.value)):
            distribution, version = _origin(point)
            identity = (point.name, point.value, distribution)
            if identity in seen:  # one distribution may be on sys.path twice
                continue
            seen.add(identity)
            if disabled & {point.name, distribution}:
                self._problem(point.name, distribution, version, f"off by {DISABLE_VARIABLE}")
                continue
            self._load(point, distribution, version)

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add a plugin object of this process: a test's double, or an embedder's own.

        Raises:
            PluginError: it breaks the contract; the message says how.
        """
        label = name or str(getattr(plugin, "__name__", type(plugin).__name__))
        self._add(plugin, label)
        self.loaded.append(LoadedPlugin(label, None, None))

    def section(self, name: str) -> type[Section] | None:
        """Class of the section that an experiment file may have under ``name``, if any."""
        for registry in (self.backends, self.samplers, self.sinks):
            if name in registry:
                return registry.get(name).section
        return None

    def section_names(self) -> list[str]:
        """Names of all sections that an experiment file may have, sorted."""
        registries = (self.backends, self.samplers, self.sinks)
        return sorted(
            {spec.name for registry in registries for spec in registry if spec.section is not None}
        )

    def conflicts(self) -> list[str]:
        """A sentence for each name that several plugins claim."""
        return [
            f"{registry.kind} {name!r} is claimed by {' and '.join(owners)}"
            for registry in (self.backends, self.samplers, self.sinks)
            for name, owners in registry.conflicts().items()
        ]

    def _load(self, point: EntryPoint, distribution: str | None, version: str | None) -> None:
        printed = io.StringIO()
        started_s = time.monotonic()
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                plugin = point.load()
                self._add(plugin, f"{distribution or 'unknown'} ({point.name})")
        except PluginError as error:
            self._problem(point.name, distribution, version, str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code may raise anything
            reason = f"{type(error).__name__}: {error}"
            self._problem(point.name, distribution, version, f"it does not import: {reason}")
        else:
            notes = _oddities(printed.getvalue(), time.monotonic() - started_s)
            self.loaded.append(LoadedPlugin(point.name, distribution, version, notes))

    def _add(self, plugin: object, owner: str) -> None:
        declared = getattr(plugin, "LLEM_CONTRACT", None)
        if declared != hookspecs.CONTRACT_VERSION:
            raise PluginError(
                f"it was written for plugin contract {declared!r}, and this llem-core has "
                f"{hookspecs.CONTRACT_VERSION}; install versions that fit each other"
                if declared is not None
                else "it does not declare its contract; add `LLEM_CONTRACT = "
                f"{hookspecs.CONTRACT_VERSION}` to the module that the entry point names"
            )
        try:
            self._manager.register(plugin, name=owner)
            specs = collect_specs(self._manager, plugin)
            for backend in specs.backends:
                self.backends.add(backend, owner)
            for sampler in specs.samplers:
                self.samplers.add(sampler, owner)
            for sink in specs.sinks:
                self.sinks.add(sink, owner)
        except BaseException:
            if self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
            raise

    def _problem(
        self, name: str, distribution: str | None, version: str | None, reason: str
    ) -> None:
        self.problems.append(PluginProblem(name, distribution, version, reason))


def _origin(point: EntryPoint) -> tuple[str | None, str | None]:
    if point.dist is None:
        return None, None
    return point.dist.name, point.dist.version


def _oddities(printed: str, import_s: float) -> tuple[str, ...]:
    notes = []
    if printed.strip():
        notes.append(f"printed at import: {printed.strip()[:80]!r}")
    if import_s > SLOW_IMPORT_S:
        notes.append(f"took {import_s:.1f} s to import")
    return tuple(notes)


_current: Plugins | None = None


def plugins() -> Plugins:
    """The plugins of this process; loads the installed ones at the first call."""
    global _current  # noqa: PLW0603 - one set of plugins a process, loaded when first asked for
    if _current is None:
        _current = Plugins()
        _current.load_installed()
    return _current


@contextlib.contextmanager
def use_plugins(replacement: Plugins) -> Iterator[Plugins]:
    """Within the block, ``plugins()`` gives ``replacement``: for tests and embedders."""
    global _current  # noqa: PLW0603 - see plugins()
    before, _current = _current, replacement
    try:
        yield replacement
    finally:
        _current = before
