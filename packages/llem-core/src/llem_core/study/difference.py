"""Says in words how two studies differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llem_core.config.study import StudyConfig

_MOST = 5


def difference(before: StudyConfig, after: StudyConfig) -> str:
    """How the configurations of two studies differ, in one sentence; empty if they do not.

    A configuration that is only in one is shown beside the nearest one that is only in the other.
    """
    old, new = _by_hash(before), _by_hash(after)
    gone = [name for name in old if name not in new]
    come = [name for name in new if name not in old]
    parts = []
    for name in gone[:_MOST]:
        near = min(come, key=lambda other: len(_changes(old[name], new[other])), default=None)
        changes = [] if near is None else _changes(old[name], new[near])
        how = f" (nearest now: {'; '.join(changes[:_MOST])})" if changes else ""
        parts.append(f"no longer there is {before.label(name)}{how}")
    if len(gone) > _MOST:
        parts.append(f"and {len(gone) - _MOST} more that are no longer there")
    parts += [f"new is {after.label(name)}" for name in come[:_MOST]]
    if len(come) > _MOST:
        parts.append(f"and {len(come) - _MOST} more that are new")
    return ", ".join(parts)


def _by_hash(study: StudyConfig) -> dict[str, dict[str, Any]]:
    return {
        config.measurement_config_hash: dict(_flat(config.canonical(), ""))
        for config in study.experiments
    }


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    paths = [*old, *(path for path in new if path not in old)]
    return [
        f"{path}: {old.get(path)!r} → {new.get(path)!r}"
        for path in paths
        if old.get(path) != new.get(path)
    ]


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner
