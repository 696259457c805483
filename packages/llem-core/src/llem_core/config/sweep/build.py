"""Builds experiments of parts that are validated once and shared.

A sweep of thousands of combinations has few different decoders, warm-ups and sections. Models
are frozen, so that one instance can stand in all of the experiments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.config import BackendSection
from llem_core.plugins import plugins
from llem_core.text import canonical_json, short_hash_of


class Part:
    """The value of one key of an experiment.

    Attributes:
        raw: as it was written.
        built: the validated model, where it is one and is valid; else the raw value, whose
            mistakes the experiment's own validation will tell.
        found: its share of the canonical JSON, once ``member`` has found it.
    """

    __slots__ = ("built", "found", "raw")

    def __init__(self, name: str, raw: Any) -> None:
        self.raw = raw
        self.built = _build(name, raw)
        self.found: bytes | None = None

    def member(self, name: str, config: ExperimentConfig) -> bytes:
        """Its share of the canonical JSON of ``config``, which has it."""
        if self.found is None:
            self.found = canonical_json(config.canonical_part(name))[1:-1]
        return self.found


class Builder:
    """Builds experiments of one backend.

    Args:
        backend: its name; parts are not shared between backends, since their share of the
            canonical form depends on it.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        # Defaults that are models would be built anew for every experiment.
        self._defaults = {name: Part(name, {}) for name in _DEFAULTS}
        self._members: dict[str, bytes] = {}
        self._keys: set[str] = set()
        self._order: list[str] = []

    def build(self, parts: Mapping[str, Part]) -> ExperimentConfig:
        """Validate an experiment, and find its hash without serialising shared parts again.

        Raises:
            pydantic.ValidationError: just as ``ExperimentConfig.model_validate`` of the raw
                values would.
        """
        full = {**self._defaults, **parts}
        config = ExperimentConfig.model_validate({name: part.built for name, part in full.items()})
        section = parts.get(self._backend)
        if section is None or section.built is not config.section:
            return config  # resolving has moved fields between the parts
        if self._keys != full.keys():
            self._keys = set(full)
            self._order = sorted(self._keys | _CORE_FIELDS)
        members = [
            (part.found or part.member(name, config))
            if (part := full.get(name)) is not None
            else self._member(name, config)
            for name in self._order
        ]
        return config.with_hash(short_hash_of(members))

    def _member(self, name: str, config: ExperimentConfig) -> bytes:
        """As ``Part.member``, for a field that has its default."""
        if name not in self._members:
            self._members[name] = canonical_json(config.canonical_part(name))[1:-1]
        return self._members[name]


def _build(name: str, raw: Any) -> Any:
    model = _MODELS.get(name)
    if model is None and name not in _CORE_FIELDS:
        if name in plugins().backends and not plugins().backends.is_here(name):
            return raw  # which environment's it is depends on the experiment
        model = plugins().section(name)
        raw = {} if raw is None else raw
    if model is None or not isinstance(raw, Mapping | str):
        return raw
    if issubclass(model, BackendSection) and not model.SHARED_FIELDS.isdisjoint(raw):
        return raw  # the experiment moves these to its top first
    try:
        return model.model_validate(raw)
    except ValidationError:
        return raw


def _model(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) is dict:
        return None
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


_CORE_FIELDS = frozenset(ExperimentConfig.model_fields)
_MODELS = {
    name: model
    for name, field in ExperimentConfig.model_fields.items()
    if (model := _model(field.annotation)) is not None
}
_DEFAULTS = tuple(
    name for name in _MODELS if ExperimentConfig.model_fields[name].default_factory is _MODELS[name]
)
