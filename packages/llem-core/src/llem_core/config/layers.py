"""Lays one source of settings over another: defaults, user, file, environment, flags.

A shared inference field may stand in a backend's section as well as at the top. ``Layer`` lifts
such fields out once, right after reading, and keeps them by backend; all that comes later finds
them where they belong, whichever backend will run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llem_core.config.yaml import Document, Location, parse_value
from llem_core.contracts.config import BackendSection
from llem_core.errors import ConfigError
from llem_core.plugins import plugins
from llem_core.plugins.registry import RESERVED_NAMES
from llem_core.text import nearest

STUDY_KEYS = frozenset({"name", "base", "sweep", "experiments", "execution", "launcher"})
"""Keys of a study file that no experiment file has."""


def is_study(content: Mapping[str, Any]) -> bool:
    """Whether a file with this content is a study: it has a key that no experiment has, or a
    list of backends."""
    return not STUDY_KEYS.isdisjoint(content) or isinstance(content.get("backend"), list)


COMMAND_LINE = "command line"
VARIABLES = "LLEM_* variables"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``over`` on ``base``: mappings are merged key by key, all else is replaced.

    A data set given as a string replaces one given as a mapping, and the other way round.
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def leaves(
    fields: Mapping[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of nested mappings with their paths; an empty mapping is a value."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*prefix, str(name)))
        else:
            yield (*prefix, str(name)), value


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings, with the shared fields lifted out of the backends' sections.

    Attributes:
        document: what was read, with its lines.
        fields: raw fields of an experiment; sections have their own fields alone.
        scoped: shared fields by the backend in whose section they stood.
        at: where the fields stand in the document.
    """

    document: Document
    fields: Mapping[str, Any]
    scoped: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    at: Location = ()

    @classmethod
    def read(
        cls, document: Document | Mapping[str, Any], source: str = "", at: Location = ()
    ) -> Layer:
        """Make a layer of a document, or of raw fields that come from ``source``.

        Args:
            document: the document; raw fields where there is none, or where they are a part of it.
            source: what the raw fields come from.
            at: where the raw fields stand in their document.
        """
        if not isinstance(document, Document):
            document = Document(source, document)
        fields, scoped = lift(document.content)
        return cls(document, fields, scoped, at)

    def of(self, backend: Any) -> dict[str, Any]:
        """Its fields for an experiment of one backend."""
        scoped = self.scoped.get(backend) if isinstance(backend, str) else None
        return merge(self.fields, scoped) if scoped else dict(self.fields)

    def place(self, location: Location, backend: Any) -> tuple[int, str]:
        """How much of a location it has, and where that stands, for a message."""
        ways = [(*self.at, *location)]
        if isinstance(backend, str) and backend in self.scoped:
            ways.append((*self.at, backend, *location))
        if self.document.root is None:
            return _depth(self.of(backend), location), self.document.source
        depths = [self.document.depth(way) - len(way) + len(location) for way in ways]
        best = max(range(len(ways)), key=lambda n: (depths[n], n))
        return depths[best], self.document.place(ways[best])


def lift(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Take the shared fields out of all backends' sections; what remains, and what was taken."""
    fields = dict(data)
    scoped: dict[str, dict[str, Any]] = {}
    for name, section in data.items():
        if not isinstance(section, Mapping) or SHARED.isdisjoint(section):
            continue
        if name in RESERVED_NAMES or not _may_be_backend(name):
            continue
        scoped[name] = {key: value for key, value in section.items() if key in SHARED}
        fields[name] = {key: value for key, value in section.items() if key not in SHARED}
    return fields, scoped


SHARED = BackendSection.SHARED_FIELDS


def lift_path(path: tuple[str, ...]) -> tuple[str, ...]:
    """Where the field that a path leads to stands once it is lifted out of a backend's section."""
    scoped = len(path) > 1 and path[1] in SHARED and path[0] not in RESERVED_NAMES
    return path[1:] if scoped else path


def stacked(layers: Iterable[Layer], backend: Any) -> dict[str, Any]:
    """All layers merged for one backend, the lowest first."""
    fields: dict[str, Any] = {}
    for layer in layers:
        fields = merge(fields, layer.of(backend))
    return fields


def said_last(layers: Sequence[Layer], name: str, default: Any) -> Any:
    """The value of a field in the highest layer that has it."""
    said = [layer.fields[name] for layer in layers if name in layer.fields]
    return said[-1] if said else default


def place_of(layers: Sequence[Layer], location: Location, backend: Any) -> str:
    """Where a value comes from: the highest layer that has the most of its location."""
    best = (-1, "")
    for layer in layers:
        depth, place = layer.place(location, backend)
        if depth >= best[0] and (depth or layer.document.root or best[0] < 0):
            best = (depth, place)
    return best[1]


def refuse_clashes(layers: Iterable[Layer]) -> None:
    """Refuse two environments of one name: which of them a result is from would not be seen.

    Args:
        layers: the files of a configuration, the lowest first; the command line is none of them.

    Raises:
        ConfigError: two files define one name differently.
    """
    first: dict[str, tuple[Any, str]] = {}
    for layer in layers:
        environments = layer.fields.get("environments")
        for name, content in environments.items() if isinstance(environments, Mapping) else ():
            here = layer.document.place((*layer.at, "environments", name))
            before, there = first.setdefault(name, (content, here))
            if _as_mapping(before) != _as_mapping(content):
                raise ConfigError(
                    f"{here}: environments.{name} is defined twice, here and, differently, in "
                    f"{there}; rename one of them, or remove it."
                )


def _as_mapping(content: Any) -> Any:
    return {"python": content} if isinstance(content, str) else content


def _depth(fields: Any, location: Location) -> int:
    for depth, part in enumerate(location):
        if not isinstance(fields, Mapping) or part not in fields:
            return depth
        fields = fields[part]
    return len(location)


def _may_be_backend(name: str) -> bool:
    known = plugins()
    return name in known.backends or known.section(name) is None


ENVIRONMENT_PREFIX = "LLEM_"
TOOL_VARIABLES = frozenset({"LLEM_OUTPUT", "LLEM_DISABLE_PLUGINS"})
"""Variables that set the tool and not the experiment."""


def nest(path: str, value: Any) -> dict[str, Any]:
    """Turn ``a.b.c`` and a value into nested mappings.

    Raises:
        ConfigError: the path has an empty part, or too many.
    """
    parts = path.split(".")
    if not all(parts) or len(parts) > _LONGEST_PATH:
        shown = path if len(path) <= 60 else f"{path[:59]}…"
        raise ConfigError(f"{shown!r} is not a path; write it like `pytorch.batch_size`.")
    for part in reversed(parts):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested


_LONGEST_PATH = 20


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Read ``path=value`` items, whose values are YAML; later ones win.

    Raises:
        ConfigError: an item has no ``=``, or its value is not YAML.
    """
    merged: dict[str, Any] = {}
    for item in assignments:
        path, equals, text = item.partition("=")
        if not equals:
            raise ConfigError(
                f"--set {item}: there is no `=`; write `--set path=value`, such as "
                "`--set pytorch.batch_size=8`."
            )
        merged = merge(merged, nest(path.strip(), parse_value(text, f"--set {path}")))
    return merged


def from_environment(
    environ: Mapping[str, str], known: Iterable[str]
) -> tuple[dict[str, Any], list[str]]:
    """Read settings from ``LLEM_*`` variables; ``__`` separates the parts of a path.

    ``LLEM_N=20`` sets ``n``; ``LLEM_PYTORCH__BATCH_SIZE=8`` sets ``pytorch.batch_size``. The
    value is YAML.

    Args:
        environ: the environment.
        known: names that a path may begin with.

    Returns:
        The settings, and a remark for each variable that sets nothing.
    """
    names = set(known)
    settings: dict[str, Any] = {}
    remarks = []
    for variable in sorted(environ):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in TOOL_VARIABLES:
            continue
        path = variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
        first = path.split(".")[0]
        if first in names:
            settings = merge(settings, nest(path, parse_value(environ[variable], variable)))
            continue
        near = nearest(first, names)
        hint = f"; did you mean {ENVIRONMENT_PREFIX}{near.upper()}?" if near else ""
        remarks.append(f"the environment variable {variable} sets nothing{hint}")
    return settings, remarks
