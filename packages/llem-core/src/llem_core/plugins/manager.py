"""Loads plugins one by one, and tells them of events.

A plugin that is broken is kept with its reason and harms no other.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any

import pluggy

from llem_core.contracts import hookspecs
from llem_core.contracts.backend import BackendSpec
from llem_core.contracts.config import Section
from llem_core.contracts.launcher import LauncherSpec
from llem_core.contracts.sampler import SamplerSpec
from llem_core.contracts.service import StudyService
from llem_core.contracts.sink import SinkSpec
from llem_core.contracts.workload import Workload
from llem_core.errors import PluginError
from llem_core.plugins.discover import (
    DISABLE_VARIABLE,
    Disabled,
    Found,
    collect_specs,
    installed,
    origin,
)
from llem_core.plugins.problems import (
    describe,
    oddities,
    other_contract,
    unknown_hooks,
    why_not_imported,
    why_not_registered,
    why_unbuildable,
)
from llem_core.plugins.registry import Registry

if TYPE_CHECKING:
    from llem_core.events import Event


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

    @property
    def named(self) -> str:
        """The plugin and where it came from, as in ``meter of llem-meter 1.0``."""
        origin = f"{self.distribution or 'an unknown distribution'} {self.version or ''}"
        return f"{self.name} of {origin}".rstrip()


class Plugins:
    """The plugins of a process and what they offer.

    Attributes:
        backends, samplers, sinks, launchers: specs by name.
        loaded: plugins that work, in the order in which they were loaded.
        problems: those that do not, with the reason.
        event_problems: plugins that failed when they were told of an event.
        remarks: sentences on the setting itself, such as a name that turns nothing off.
    """

    def __init__(self) -> None:
        self.backends: Registry[BackendSpec] = Registry("backend")
        self.samplers: Registry[SamplerSpec] = Registry("sampler")
        self.sinks: Registry[SinkSpec] = Registry("sink")
        self.launchers: Registry[LauncherSpec] = Registry("launcher")
        self.loaded: list[LoadedPlugin] = []
        self.problems: list[PluginProblem] = []
        self.event_problems: list[PluginProblem] = []
        self.remarks: list[str] = []
        self._owners: dict[str, LoadedPlugin] = {}
        self._offers: dict[str, tuple[object, dict[str, BackendSpec]]] = {}
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    @property
    def _registries(self) -> tuple[Registry[Any], ...]:
        return self.backends, self.samplers, self.sinks, self.launchers

    @property
    def hook(self) -> pluggy.HookRelay:
        """The event hooks of all plugins."""
        return self._manager.hook

    def load_installed(self, points: Iterable[EntryPoint] | None = None) -> None:
        """Load every installed plugin of the entry-point group ``llem``.

        Args:
            points: entry points to load instead of the installed ones.
        """
        if points is None:
            found = [Found(*origin(_own()), point) for point in _BUILT_IN] + list(installed())
        else:
            found = [Found(*origin(point.dist), point) for point in points]
        disabled = Disabled(os.environ.get(DISABLE_VARIABLE, ""))
        for each in sorted(found, key=_order):
            point = each.point
            if disabled.covers(each):
                name = point.name if point else each.distribution or "unknown"
                self._problem(name, each, f"off by {DISABLE_VARIABLE}")
            elif point is None:
                self._problem(each.distribution or "unknown", each, each.problem)
            else:
                self._load(point, each)
        self.remarks += disabled.remarks(found)

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add a plugin object of this process: a test's double, or an embedder's own.

        Raises:
            PluginError: it breaks the contract; the message says how.
        """
        label = name or str(getattr(plugin, "__name__", type(plugin).__name__))
        odd = self._add(plugin, label)
        self._enter(label, LoadedPlugin(label, None, None, tuple(odd)))

    def offer(self, environment: str, content: object, specs: Iterable[BackendSpec]) -> None:
        """Enter what another environment has; a backend of its own name here comes first.

        Args:
            environment: its name.
            content: what it is: an offer holds for this content alone.
            specs: its backends.
        """
        offered = {spec.name: spec for spec in specs}
        self._offers[environment] = content, offered
        for spec in offered.values():
            self.backends.put(spec, f"the environment {environment}")

    def offer_of(self, environment: str) -> object | None:
        """What the environment of this name was when it made its offer; ``None`` if it has not."""
        return self._offers.get(environment, (None, {}))[0]

    def offers(self, environment: str) -> dict[str, BackendSpec]:
        """The backends that an environment has; empty where it has not been asked."""
        return self._offers.get(environment, (None, {}))[1]

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
            for registry in self._registries
            for name, owners in registry.conflicts().items()
        ]

    def tell(self, hook: str, event: Event) -> list[PluginProblem]:
        """Call the event hook of every plugin that has it; what one raises harms no other.

        Returns:
            The plugins that failed at it for the first time; they are in ``event_problems``.
        """
        n_before = len(self.event_problems)
        for each in getattr(self._manager.hook, hook).get_hookimpls():
            try:
                each.function(**({"event": event} if "event" in each.argnames else {}))
            # Foreign code may raise anything; Ctrl+C alone is the user's.
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - see above
                self._event_problem(each.plugin_name, hook, error)
        return self.event_problems[n_before:]

    def study_services(self, workloads: Sequence[tuple[str, Workload]]) -> list[StudyService]:
        """The services that the plugins name for a study.

        Raises:
            PluginError: a plugin failed at it, or names something else.
        """
        found: list[StudyService] = []
        for each in self._manager.hook.llem_study_services.get_hookimpls():
            given = {"workloads": workloads} if "workloads" in each.argnames else {}
            services: list[object]
            try:
                services = list(each.function(**given))  # type: ignore[call-overload]
            # Foreign code may raise anything.
            except Exception as error:
                raise PluginError(
                    f"the plugin {each.plugin_name} failed to name its services: "
                    f"{type(error).__name__}: {error}"
                ) from error
            wrong = [type(s).__name__ for s in services if not isinstance(s, StudyService)]
            if wrong:
                raise PluginError(
                    f"the plugin {each.plugin_name} named a {wrong[0]} where a StudyService belongs"
                )
            found += [s for s in services if isinstance(s, StudyService)]
        return found

    def section_problems(self) -> list[PluginProblem]:
        """Sections that no configuration can be made with; building them takes time."""
        found = []
        for registry in self._registries:
            for spec in registry:
                reason = why_unbuildable(spec.section)
                if reason is not None:
                    origin = self._plugin(registry.owner(spec.name))
                    found.append(
                        PluginProblem(spec.name, origin.distribution, origin.version, reason)
                    )
        return found

    def _load(self, point: EntryPoint, found: Found) -> None:
        printed = io.StringIO()
        label = f"{found.distribution or 'unknown'} ({point.name})"
        started_s = time.monotonic()
        loading = True
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                plugin = point.load()
                import_s = time.monotonic() - started_s
                loading = False
                odd = self._add(plugin, label)
        # Foreign code may raise anything; Ctrl+C alone is the user's.
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - see above
            reason = why_not_imported(point, error) if loading else why_not_registered(error)
            self._problem(point.name, found, reason)
        else:
            notes = (*oddities(printed.getvalue(), import_s), *odd)
            self._enter(label, LoadedPlugin(point.name, found.distribution, found.version, notes))

    def _add(self, plugin: object, owner: str) -> list[str]:
        declared = getattr(plugin, "LLEM_CONTRACT", None)
        if declared != hookspecs.CONTRACT_VERSION:
            raise PluginError(other_contract(declared))
        if self._manager.is_registered(plugin):
            first = self._manager.get_name(plugin)
            raise PluginError(f"it is the same module as that of {first}, which is loaded already")
        try:
            self._manager.register(plugin, name=owner)
            specs = collect_specs(self._manager, plugin)
            offered: list[tuple[Registry[Any], Any]] = [
                *((self.backends, spec) for spec in specs.backends),
                *((self.samplers, spec) for spec in specs.samplers),
                *((self.sinks, spec) for spec in specs.sinks),
                *((self.launchers, spec) for spec in specs.launchers),
            ]
            for registry, spec in offered:
                registry.check(spec)  # all of them, before the first is entered
        except BaseException:
            if self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
            raise
        for registry, spec in offered:
            registry.add(spec, owner)
        return unknown_hooks(self._manager, plugin)

    def _enter(self, owner: str, loaded: LoadedPlugin) -> None:
        self.loaded.append(loaded)
        self._owners[owner] = loaded

    def told_owner(self, owner: str) -> str:
        """Distribution and version of the plugin that a registry calls ``owner``."""
        plugin = self._plugin(owner)
        return f"{plugin.distribution or owner} {plugin.version or ''}".rstrip()

    def _plugin(self, owner: str) -> LoadedPlugin:
        return self._owners.get(owner, LoadedPlugin(owner, None, None))

    def _problem(self, name: str, found: Found, reason: str) -> None:
        self.problems.append(PluginProblem(name, found.distribution, found.version, reason))

    def _event_problem(self, owner: str, hook: str, error: BaseException) -> None:
        failed = self._plugin(owner)
        reason = f"it failed in {hook} ({describe(error)}); what is measured is not concerned"
        problem = PluginProblem(failed.name, failed.distribution, failed.version, reason)
        if problem not in self.event_problems:
            self.event_problems.append(problem)


_BUILT_IN = (EntryPoint("core-launchers", "llem_core.study.launch.hooks", hookspecs.PROJECT),)
"""Plugins that are a part of core, and whose modules lie above this one."""


def _own() -> Distribution | None:
    try:
        return distribution("llem-core")
    except PackageNotFoundError:  # run from its source
        return None


def _order(found: Found) -> tuple[str, str]:
    point = found.point
    return (point.name, point.value) if point else (found.distribution or "", "")


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
