"""Turns pydantic's error list into one paragraph: file, key, remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from llem_core.errors import ConfigError
from llem_core.plugins import plugins

_MOST_SHOWN = 10


def config_error(error: ValidationError, source: str, root: type[BaseModel]) -> ConfigError:
    """Make a ``ConfigError`` of a ``ValidationError``.

    Args:
        error: what pydantic found.
        source: the file, or whatever else the values came from.
        root: the model that was validated, to name the nearest valid key.
    """
    told = describe(error, root)
    return ConfigError(f"{source}: {told}" if told.endswith("?") else f"{source}: {told}.")


def describe(error: ValidationError, root: type[BaseModel]) -> str:
    """Say all that pydantic found in one line: ``key: what is wrong; …``."""
    details = error.errors(include_url=False)
    shown = [_line(detail, root) for detail in details[:_MOST_SHOWN]]
    if len(details) > _MOST_SHOWN:
        shown.append(f"and {len(details) - _MOST_SHOWN} more mistakes")
    return "; ".join(dict.fromkeys(shown))


def _line(detail: ErrorDetails, root: type[BaseModel]) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    message = _message(detail, root)
    return f"{path}: {message}" if path else message


def _message(detail: ErrorDetails, root: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return f"unknown key; {_nearest(detail['loc'], root)}"
    if kind == "missing":
        return "is required; add it"
    message = detail["msg"].removeprefix("Value error, ").rstrip(".")
    if kind in {"value_error", "unknown_key", "unknown_backend", "unknown_sampler"}:
        return message
    return f"{message[:1].lower()}{message[1:]}, not {_shown(detail['input'])}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nearest(location: tuple[int | str, ...], root: type[BaseModel]) -> str:
    model: type[BaseModel] | None = root
    for part in location[:-1]:
        model = _child(model, part)
    if model is None:
        return "remove it"
    names = list(model.model_fields)
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(names)}"


def _child(model: type[BaseModel] | None, part: int | str) -> type[BaseModel] | None:
    if model is None or isinstance(part, int):
        return model
    if part not in model.model_fields:
        return plugins().section(part)
    found = list(_models(model.model_fields[part].annotation))
    return found[0] if found else None


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
