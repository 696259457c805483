"""Names to specs: what the installed plugins offer, by kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from llem_core.errors import PluginError
from llem_core.text import nearest

RESERVED_NAMES = frozenset(
    {
        # keys of an experiment file
        *("model", "backend", "precision", "n", "dataset", "max_input_tokens"),
        *("max_output_tokens", "random_seed", "decoder", "warmup", "baseline", "energy", "load"),
        *("lora", "passthrough_kwargs", "environment", "environments"),
        # keys of a study file and of the user's configuration
        *("name", "base", "sweep", "experiments", "execution", "output", "electricity"),
        # keys of `execution`
        *("n_cycles", "cycle_order", "config_gap_seconds", "cycle_gap_seconds"),
        *("experiment_timeout_seconds", "max_experiments", "launcher", "resources"),
        # values with a meaning of their own
        *("auto", "none", "null", "core"),
    }
)
"""Names that a plugin cannot take. A test holds this against the configuration's fields."""

DISTRIBUTIONS = {
    "pytorch": "llem-pytorch",
    "vllm": "llem-vllm",
    "server": "llem-server",
    "nvml": "llem-energy-nvml",
    "zeus": "llem-energy-zeus",
    "codecarbon": "llem-energy-codecarbon",
    "dcgm": "llem-energy-dcgm",
}
"""What to install for a name that the project itself ships; a hint in messages, no more."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class _Spec(Protocol):
    @property
    def name(self) -> str: ...


SpecT = TypeVar("SpecT", bound=_Spec)


@dataclass(frozen=True, slots=True)
class _Entry(Generic[SpecT]):
    spec: SpecT
    owner: str


class Registry(Generic[SpecT]):
    """The specs of one kind by name; remembers who claimed a name.

    Args:
        kind: what its specs are, in the singular: ``backend``, ``sampler``, ``sink``, ``launcher``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, list[_Entry[SpecT]]] = {}
        self._elsewhere: set[str] = set()

    def add(self, spec: SpecT, owner: str) -> None:
        """Enter a spec that the plugin ``owner`` offers.

        Raises:
            PluginError: its name cannot be a name.
        """
        self.check(spec)
        if spec.name in self._elsewhere:
            self._elsewhere.remove(spec.name)
            del self._entries[spec.name]
        self._entries.setdefault(spec.name, []).append(_Entry(spec, owner))

    def put(self, spec: SpecT, owner: str) -> None:
        """Enter a spec that lies elsewhere, unless one of its name is here; the newest counts."""
        if not self.is_here(spec.name):
            self._entries[spec.name] = [_Entry(spec, owner)]
            self._elsewhere.add(spec.name)

    def is_here(self, name: object) -> bool:
        """Whether a plugin that is installed here claims the name."""
        return name in self._entries and name not in self._elsewhere

    def check(self, spec: SpecT) -> None:
        """See that a spec could be entered.

        Raises:
            PluginError: its name cannot be a name.
        """
        if not _NAME.fullmatch(spec.name):
            raise PluginError(
                f"the {self.kind} name {spec.name!r} is not lower-case letters, digits and "
                "underscores, beginning with a letter"
            )
        if spec.name in RESERVED_NAMES:
            raise PluginError(f"the {self.kind} name {spec.name!r} is reserved by the core")

    def __contains__(self, name: object) -> bool:
        """Whether exactly one plugin offers ``name``."""
        return isinstance(name, str) and len(self._entries.get(name, ())) == 1

    def __iter__(self) -> Iterator[SpecT]:
        """All specs whose name only one plugin claims, by name."""
        for name in self.names():
            yield self._entries[name][0].spec

    def names(self) -> list[str]:
        """Names that can be used, sorted."""
        return sorted(name for name, entries in self._entries.items() if len(entries) == 1)

    def owner(self, name: str) -> str:
        """The plugin that offers ``name``."""
        return self._entries[name][0].owner

    def conflicts(self) -> dict[str, list[str]]:
        """Names that several plugins claim, with those plugins."""
        return {
            name: [entry.owner for entry in entries]
            for name, entries in sorted(self._entries.items())
            if len(entries) > 1
        }

    def get(self, name: str) -> SpecT:
        """The spec of that name.

        Raises:
            PluginError: no plugin offers it, or several do; the message says what to do.
        """
        entries = self._entries.get(name, [])
        if len(entries) == 1:
            return entries[0].spec
        raise PluginError(self.unknown(name))

    def unknown(self, name: str) -> str:
        """Say why there is no ``name`` here, and what the user may have meant or lacks."""
        if len(self._entries.get(name, ())) > 1:
            owners = " and ".join(entry.owner for entry in self._entries[name])
            return (
                f"{self.kind} {name!r} is claimed by {owners}; uninstall one of them, or turn "
                "one off with the environment variable LLEM_DISABLE_PLUGINS"
            )
        if name in DISTRIBUTIONS:
            return f"{self.kind} {name!r} is not installed; run `pip install {DISTRIBUTIONS[name]}`"
        names = self.names()
        near = nearest(name, names)
        hint = f"did you mean {near!r}? " if near else ""
        known = ", ".join(names) if names else "none"
        return f"there is no {self.kind} {name!r}; {hint}installed: {known}"
