"""Binds the sections of an experiment file to the plugins that own them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import PydanticCustomError

from llem_core.config.layers import lift, merge
from llem_core.contracts.config import Section
from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.elsewhere.offer import offer, section_in
from llem_core.errors import PluginError
from llem_core.plugins import plugins
from llem_core.plugins.discover import DISABLE_VARIABLE
from llem_core.plugins.problems import describe
from llem_core.plugins.registry import DISTRIBUTIONS
from llem_core.text import nearest

DEFAULT_BACKEND = "pytorch"


@dataclass(frozen=True, slots=True)
class _Marked:
    """A value under a key that is no core field; ``bind`` makes a section or an error of it."""

    name: str
    value: Any
    core_fields: frozenset[str]
    owner: type[Section] | None = None


def resolve(data: dict[str, Any], core_fields: frozenset[str]) -> dict[str, Any]:
    """Bring raw experiment fields into the form that the model validates.

    Shared inference fields in the section of the chosen backend move to the top, where they
    win over the general ones; the chosen backend's section is filled in when absent. Sections
    of other backends are validated, and their shared fields have no effect.
    """
    lifted, scoped = lift(data)
    backend = data.get("backend", DEFAULT_BACKEND)
    named = isinstance(backend, str)
    environment = data.get("environment")
    if data.get("environments"):
        ask_environments(data["environments"], [environment], [backend, *lifted])
    if named and backend in scoped:
        lifted = merge(lifted, scoped[backend])
    if named and backend in plugins().backends:
        lifted.setdefault(backend, {})
    owners = {}
    if named and not plugins().backends.is_here(backend):
        owners[backend] = section_in(environment or backend, backend)
    return {
        name: value if name in core_fields else _Marked(name, value, core_fields, owners.get(name))
        for name, value in lifted.items()
    }


def ask_environments(environments: Any, chosen: Iterable[object], names: Iterable[object]) -> None:
    """Ask those environments whose backends are needed and not here.

    Args:
        environments: name to environment, raw or validated.
        chosen: environments that experiments name.
        names: backends, and sections that may be those of backends.

    Raises:
        PreFlightError: one of them cannot be used.
    """
    if not isinstance(environments, Mapping):
        return  # the validation of the field tells
    known = plugins()
    lacking = [name for name in names if name in environments and not known.backends.is_here(name)]
    wanted = [name for name in (*chosen, *lacking) if isinstance(name, str)]
    offer(environments, wanted)


_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def named_environments(environments: dict[str, EnvironmentConfig]) -> dict[str, EnvironmentConfig]:
    """The environments, if their names can be names and differ.

    Raises:
        ValueError: they do not.
    """
    seen: dict[str, str] = {}
    for name in environments:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r:.60} is no name of an environment; use letters, digits and `._-`, "
                "beginning with a letter or digit"
            )
        if name.lower() in seen:
            raise ValueError(
                f"{seen[name.lower()]!r} and {name!r} clash: names of environments differ by more "
                "than capitals; rename one of them"
            )
        seen[name.lower()] = name
    return environments


def bind(marked: Any) -> Section:
    """Validate one section with the model of the plugin that owns it."""
    if isinstance(marked, Section):
        return marked
    if not isinstance(marked, _Marked):
        raise PydanticCustomError("section", "a section is a mapping")
    owner = marked.owner or plugins().section(marked.name)
    if owner is None:
        raise PydanticCustomError("unknown_key", "{message}", {"message": _unknown(marked)})
    value = {} if marked.value is None else marked.value
    if isinstance(value, Section):
        return value
    try:
        return owner.model_validate(value)
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise PluginError(
            f"the section {marked.name!r} cannot be used, by a mistake of the plugin that owns it "
            f"({describe(error)}); tell its author, or turn it off with {DISABLE_VARIABLE}"
        ) from error


def _unknown(marked: _Marked) -> str:
    if marked.name in DISTRIBUTIONS:
        return (
            f"the plugin that owns the section {marked.name!r} is not installed; "
            f"run `pip install {DISTRIBUTIONS[marked.name]}`"
        )
    known = [*sorted(marked.core_fields), *plugins().section_names()]
    return f"unknown key; {hint_at(marked.name, known)}"


def hint_at(key: object, known: Iterable[str]) -> str:
    """What may be meant by a key that stands among those of an experiment."""
    near = nearest(key, known)
    return f"did you mean {near!r}?" if near else "no installed plugin owns such a section"
