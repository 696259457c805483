"""Turns the flags of ``llem run`` into the topmost layer of an experiment's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llem_core.config.layers import merge, nest, parse_assignments
from llem_core.config.sections import DEFAULT_BACKEND
from llem_core.contracts.section import BackendSection
from llem_core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags that set fields of an experiment; ``None`` is a flag that was not given.

    Attributes:
        assignments: the values of ``--set``, as ``path=value``.
    """

    model: str | None = None
    backend: str | None = None
    dataset: str | None = None
    n: int | None = None
    batch_size: int | None = None
    precision: str | None = None
    sampler: str | None = None
    assignments: Sequence[str] = ()

    def overrides(self, below: Mapping[str, Any]) -> dict[str, Any]:
        """Raw fields that win over everything else.

        Args:
            below: the raw fields of the layers below; ``--batch-size`` goes to the section of
                the backend that they name, if no flag names one.

        Raises:
            ConfigError: a ``--set`` that cannot be read, or that says what a flag says too.
        """
        assigned = parse_assignments(self.assignments)
        paths: dict[str, tuple[str, Any]] = {
            "--model": ("model", self.model),
            "--backend": ("backend", self.backend),
            "--dataset": ("dataset", self.dataset),
            "-n": ("n", self.n),
            "--precision": ("precision", self.precision),
        }
        given = {flag: pair for flag, pair in paths.items() if pair[1] is not None}
        if self.sampler is not None:
            off = self.sampler.lower() in {"none", "null"}
            given["--sampler"] = ("energy.sampler", None if off else self.sampler)
        if self.batch_size is not None:
            backend = self.backend or assigned.get("backend") or below.get("backend")
            path = f"{backend or DEFAULT_BACKEND}.batch_size"
            given["--batch-size"] = (path, self.batch_size)
        merged = assigned
        for flag, (path, value) in given.items():
            if _says(assigned, path):
                raise ConfigError(
                    f"{flag} and --set {path} say the same thing twice; give one of them."
                )
            merged = merge(merged, nest(path, value))
        return _over_section(merged, below)


def _over_section(overrides: dict[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    """Let shared fields win over a file that sets them in its backend's section.

    There they win over the general ones, so that is where the flags have to say them.
    """
    backend = overrides.get("backend") or below.get("backend") or DEFAULT_BACKEND
    section = below.get(backend) if isinstance(backend, str) else None
    if not isinstance(section, Mapping):
        return overrides
    names = BackendSection.SHARED_FIELDS & overrides.keys() & section.keys()
    moved = {name: overrides[name] for name in names}
    kept = {name: value for name, value in overrides.items() if name not in names}
    return merge({backend: moved}, kept) if moved else overrides


def _says(fields: Mapping[str, Any], path: str) -> bool:
    """Whether ``fields`` has a value at the path, or one that stands for all below it."""
    value: Any = fields
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return True
        if part not in value:
            return False
        value = value[part]
    return True
