"""Binds the sections of an experiment file to the plugins that own them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import PydanticCustomError

from llem_core.config.layers import merge
from llem_core.contracts.config import BackendSection, Section
from llem_core.errors import PluginError
from llem_core.plugins import plugins
from llem_core.plugins.discover import DISABLE_VARIABLE
from llem_core.plugins.problems import told
from llem_core.plugins.registry import DISTRIBUTIONS

DEFAULT_BACKEND = "pytorch"


@dataclass(frozen=True, slots=True)
class _Marked:
    """A value under a key that is no core field; ``bind`` makes a section or an error of it."""

    name: str
    value: Any
    core_fields: frozenset[str]


def resolve(data: dict[str, Any], core_fields: frozenset[str]) -> dict[str, Any]:
    """Bring raw experiment fields into the form that the model validates.

    Shared inference fields in the section of the chosen backend move to the top, where they
    win over the general ones; the chosen backend's section is filled in when absent. Sections
    of other backends are validated, and have no effect.
    """
    resolved = {key: value for key, value in data.items() if key in core_fields}
    backend = data.get("backend", DEFAULT_BACKEND)
    for name, value in data.items():
        if name not in core_fields:
            resolved[name] = _Marked(name, value, core_fields)
    if isinstance(backend, str) and backend in plugins().backends:
        section = data.get(backend, {})
        if isinstance(section, dict):
            shared, own = _split(section)
            _merge(resolved, shared)
            resolved[backend] = _Marked(backend, own, core_fields)
    return resolved


def hoist(data: Mapping[str, Any], backend: Any) -> dict[str, Any]:
    """Move shared inference fields out of the backend's section, so that layers can be merged.

    Without it a field in a file's section would win over the same field on the command line.
    """
    section = data.get(backend) if isinstance(backend, str) else None
    if not isinstance(section, Mapping):
        return dict(data)
    shared, own = _split(dict(section))
    hoisted = {**data, backend: own}
    _merge(hoisted, shared)
    return hoisted


def lay(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one layer over another before it is known which backend will run.

    A shared inference field in ``over`` wins over the same field in any backend's section of
    ``below``, where it would otherwise win once the section is resolved.
    """
    cleared = dict(below)
    for name, section in below.items():
        if isinstance(section, Mapping) and _may_be_backend(name):
            cleared[name] = _yielding(section, over)
    return merge(cleared, over)


def bind(marked: Any) -> Section:
    """Validate one section with the model of the plugin that owns it."""
    if isinstance(marked, Section):
        return marked
    if not isinstance(marked, _Marked):
        raise PydanticCustomError("section", "a section is a mapping")
    owner = plugins().section(marked.name)
    if owner is None:
        raise PydanticCustomError("unknown_key", "{message}", {"message": _unknown(marked)})
    value = {} if marked.value is None else marked.value
    if isinstance(value, Section):
        return value
    if issubclass(owner, BackendSection) and isinstance(value, dict):
        value = _split(value)[1]
    try:
        return owner.model_validate(value)
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise PluginError(
            f"the section {marked.name!r} cannot be used, by a mistake of the plugin that owns it "
            f"({told(error)}); tell its author, or turn it off with {DISABLE_VARIABLE}"
        ) from error


def _yielding(section: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A backend's section without the shared fields that a higher layer sets."""
    kept = dict(section)
    for field in BackendSection.SHARED_FIELDS & over.keys() & section.keys():
        if isinstance(kept[field], Mapping) and isinstance(over[field], Mapping):
            kept[field] = merge(kept[field], over[field])
        else:
            del kept[field]
    return kept


def _may_be_backend(name: str) -> bool:
    known = plugins()
    return name in known.backends or known.section(name) is None


def _split(section: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    shared = {k: v for k, v in section.items() if k in BackendSection.SHARED_FIELDS}
    own = {k: v for k, v in section.items() if k not in BackendSection.SHARED_FIELDS}
    return shared, own


def _merge(target: dict[str, Any], extra: dict[str, Any]) -> None:
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            target[key] = {**target[key], **value}
        else:
            target[key] = value


def _unknown(marked: _Marked) -> str:
    import difflib

    if marked.name in DISTRIBUTIONS:
        return (
            f"the plugin that owns the section {marked.name!r} is not installed; "
            f"run `pip install {DISTRIBUTIONS[marked.name]}`"
        )
    known = [*sorted(marked.core_fields), *plugins().section_names()]
    near = difflib.get_close_matches(str(marked.name), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "no installed plugin owns such a section"
    return f"unknown key; {hint}"
