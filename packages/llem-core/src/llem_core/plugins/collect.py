"""Asks one plugin for its specs and checks them against the contract."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import pluggy

from llem_core.contracts.backend import BackendSpec
from llem_core.contracts.sampler import SamplerSpec
from llem_core.contracts.section import BackendSection, Section
from llem_core.contracts.sink import SinkSpec
from llem_core.errors import PluginError

SpecT = TypeVar("SpecT", BackendSpec, SamplerSpec, SinkSpec)


@dataclass(frozen=True, slots=True)
class Specs:
    """What one plugin offers."""

    backends: tuple[BackendSpec, ...]
    samplers: tuple[SamplerSpec, ...]
    sinks: tuple[SinkSpec, ...]


def collect_specs(manager: pluggy.PluginManager, plugin: object) -> Specs:
    """Call the registration hooks of one plugin alone.

    Raises:
        PluginError: it returns something else than its contract says.
    """
    return Specs(
        _ask(manager, plugin, "llem_backends", BackendSpec),
        _ask(manager, plugin, "llem_samplers", SamplerSpec),
        _ask(manager, plugin, "llem_sinks", SinkSpec),
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
