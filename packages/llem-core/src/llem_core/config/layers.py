"""Lays one source of settings over another: defaults, user, file, environment, flags."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from llem_core.config.yaml import parse_value
from llem_core.errors import ConfigError


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


ENVIRONMENT_PREFIX = "LLEM_"
TOOL_VARIABLES = frozenset({"LLEM_OUTPUT", "LLEM_DISABLE_PLUGINS"})
"""Variables that set the tool and not the experiment."""


def nest(path: str, value: Any) -> dict[str, Any]:
    """Turn ``a.b.c`` and a value into nested mappings.

    Raises:
        ConfigError: the path has an empty part.
    """
    parts = path.split(".")
    if not all(parts):
        raise ConfigError(f"{path!r} is not a path; write it like `pytorch.batch_size`.")
    for part in reversed(parts):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested


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
        near = difflib.get_close_matches(first, names, n=1)
        hint = f"; did you mean {ENVIRONMENT_PREFIX}{near[0].upper()}?" if near else ""
        remarks.append(f"the environment variable {variable} sets nothing{hint}")
    return settings, remarks
