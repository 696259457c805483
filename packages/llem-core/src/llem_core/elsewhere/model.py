"""Makes the model of a section from its JSON schema, for a plugin that is not installed here.

It covers what pydantic writes for the types of sections. What it does not know it takes as it is:
the environment itself checks each experiment before the first one runs.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from pydantic import Field, create_model

from llem_core.contracts.config import BackendSection, StrictModel
from llem_core.text import canonical_json

_BOUNDS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}
_LENGTHS = {"minLength": "min_length", "maxLength": "max_length"}
_COUNTS = {"minItems": "min_length", "maxItems": "max_length"}
_PLAIN: dict[str, Any] = {"integer": int, "number": float, "boolean": bool, "null": None}
_DEEPEST = 20

Schema = Mapping[str, Any]


def section_model(
    name: str, schema: Mapping[str, Any], defaults: Mapping[str, Any]
) -> type[BackendSection]:
    """The model of a backend's section; the same class for the same content.

    Args:
        name: the backend.
        schema: JSON schema of its section, as pydantic writes it.
        defaults: the section's defaults, as JSON types; a schema does not have all of them.
    """
    return _made(name, canonical_json([schema, defaults]))


@functools.lru_cache(maxsize=64)
def _made(name: str, content: bytes) -> type[BackendSection]:
    schema, defaults = json.loads(content)
    known = schema.get("$defs", {})
    fields = _fields(schema, defaults, known, 0)
    title = str(schema.get("title") or f"{name.capitalize()}Config")
    return create_model(title, __base__=BackendSection, **fields)


def _fields(schema: Schema, defaults: Schema, known: Schema, depth: int) -> dict[str, Any]:
    required = schema.get("required", ())
    fields: dict[str, Any] = {}
    for key, inner in schema.get("properties", {}).items():
        if key in defaults:
            default = defaults[key]
        elif "default" in inner:
            default = inner["default"]
        else:
            default = ... if key in required else None
        kind = _type(inner, known, depth + 1)
        if default is None and not _takes_null(inner, known):
            kind = Union[kind, None]  # noqa: UP007 - a type that is made
        fields[key] = (kind, Field(default, description=inner.get("description")))
    return fields


def _takes_null(schema: Schema, known: Schema) -> bool:
    return _type(schema, known, _DEEPEST) is Any or '"null"' in json.dumps(schema)


def _type(schema: Schema | bool, known: Schema, depth: int) -> Any:  # noqa: PLR0911 - a table
    """The Python type that takes what the schema takes."""
    if isinstance(schema, bool) or depth > _DEEPEST:
        return Any
    if "$ref" in schema:
        found = known.get(str(schema["$ref"]).rpartition("/")[2])
        return Any if found is None else _type(found, known, depth + 1)
    if "const" in schema:
        return Literal[schema["const"]]
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            parts = tuple(_type(part, known, depth + 1) for part in schema[key])
            return parts[0] if len(parts) == 1 else Any if key == "allOf" else Union[parts]  # noqa: UP007
    kind = schema.get("type")
    if isinstance(kind, list):
        return Union[tuple(_type({**schema, "type": each}, known, depth + 1) for each in kind)]  # noqa: UP007
    if kind == "string":
        return _text(schema)
    if kind == "array":
        return _array(schema, known, depth)
    if kind == "object":
        return _object(schema, known, depth)
    if kind not in _PLAIN:
        return Any
    return _within(_PLAIN[kind], schema, _BOUNDS)


def _within(kind: Any, schema: Schema, names: Mapping[str, str]) -> Any:
    bounds: dict[str, Any] = {ours: schema[name] for name, ours in names.items() if name in schema}
    return Annotated[kind, Field(**bounds)] if bounds else kind


def _text(schema: Schema) -> Any:
    kind = _within(str, schema, _LENGTHS)
    pattern = schema.get("pattern")
    # Pydantic's engine knows no looking around; the environment checks such a text.
    if isinstance(pattern, str) and "(?" not in pattern and _compiles(pattern):
        return Annotated[kind, Field(pattern=pattern)]
    return kind


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _array(schema: Schema, known: Schema, depth: int) -> Any:
    if "prefixItems" in schema:
        parts = tuple(_type(part, known, depth + 1) for part in schema["prefixItems"])
        return tuple[parts]  # type: ignore[valid-type]
    item = _type(schema.get("items", True), known, depth + 1)
    return _within(list[item], schema, _COUNTS)  # type: ignore[valid-type]


def _object(schema: Schema, known: Schema, depth: int) -> Any:
    if "properties" not in schema:
        value = _type(schema.get("additionalProperties", True), known, depth + 1)
        return dict[str, value]  # type: ignore[valid-type]
    fields = _fields(schema, {}, known, depth)
    return create_model(str(schema.get("title") or "Inner"), __base__=StrictModel, **fields)
