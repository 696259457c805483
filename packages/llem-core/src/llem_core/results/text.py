"""Text of a result that no file could hold."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, from_json, to_json

from llem_core.text import displayable

M = TypeVar("M", bound=BaseModel)


def with_writable_text(result: M) -> M:
    """The result with ``\\udcff`` written out for each lone surrogate in it.

    They come with bytes that are no UTF-8, in variables, names and messages of foreign code, and
    cannot be written to a file. A result without any is given back as it is.
    """
    try:
        result.model_dump_json()
    except PydanticSerializationError:
        content = to_json(_written(result.model_dump()))
        return type(result).model_validate(from_json(content), strict=False)
    return result


def _written(value: Any) -> Any:
    if isinstance(value, str):
        return displayable(value)
    if isinstance(value, dict):
        return {_written(key): _written(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_written(inner) for inner in value]
    return value
