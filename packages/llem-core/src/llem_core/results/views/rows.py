"""Figures of results as flat rows: columns of ``result.csv``, ``study.csv`` and frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from llem_core.results.experiment import LATENCIES, ExperimentResult
from llem_core.results.load import LoadResult

_LATENCY_STATISTICS = ("mean_s", "p50_s", "p90_s", "p95_s", "p99_s")


def row(result: ExperimentResult) -> dict[str, Any]:
    """The figures of a result as one flat row: always the same columns, in the same order."""
    return {
        column: getattr(getattr(result, field), part, None) if part else getattr(result, field)
        for column, field, part in columns()
    }


def row_of_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same row of what a ``result.json`` holds; what is not there is ``None``."""
    return {column: _cell(content, field, part) for column, field, part in columns()}


def columns() -> Iterator[tuple[str, str, str]]:
    """Each column with the field that it is read from, and the part of it if it has parts."""
    for name, field in ExperimentResult.model_fields.items():
        if name in LATENCIES:
            for statistic in _LATENCY_STATISTICS:
                yield f"{name}_{statistic}", name, statistic
        elif name == "load":
            for part, inner in LoadResult.model_fields.items():
                if _is_plain(inner.annotation):
                    yield f"load_{part}", name, part
        elif _is_plain(field.annotation):
            yield name, name, ""


def _is_plain(annotation: Any) -> bool:
    if get_origin(annotation) in {Union, UnionType}:
        return all(_is_plain(member) for member in get_args(annotation))
    return annotation in {str, int, float, bool, NoneType} or get_origin(annotation) is Literal


def _cell(content: Mapping[str, Any], field: str, part: str) -> Any:
    value = content.get(field)
    return value.get(part) if part and isinstance(value, Mapping) else None if part else value
