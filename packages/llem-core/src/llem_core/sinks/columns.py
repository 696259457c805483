"""Arrow columns from Python values, by way of buffers.

``pyarrow.array`` and all that uses it import pandas wherever it is installed: half a second of CPU
time and 50 MB in the process of every experiment, for nothing that is used here.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import Any

import pyarrow as pa

_TYPECODES = {pa.float64(): "d", pa.int64(): "q", pa.int32(): "i"}


def table(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """A table of rows whose values stand in the order of the schema's fields.

    Args:
        rows: numbers, text or lists of these, as the fields' types ask; ``None`` is null.
        schema: fields of float64, int64, int32, bool, string, or lists of these.
    """
    by_field = zip(*rows, strict=True) if rows else [() for _ in schema]
    columns = [column(values, field.type) for values, field in zip(by_field, schema, strict=True)]
    return pa.Table.from_arrays(columns, schema=schema)


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """One column.

    Args:
        values: one a row; ``None`` is null.
        kind: float64, int64, int32, bool, string, or a list of these.

    Raises:
        TypeError: a value is not of this kind.
        OverflowError: a number does not fit, or the text of the column is beyond 2 GiB.
    """
    valid = _bitmap(values)
    if pa.types.is_boolean(kind):
        bits = pa.py_buffer(_bits(value is True for value in values))
        return pa.Array.from_buffers(kind, len(values), [valid, bits])
    if pa.types.is_list(kind):
        lists = [() if value is None else value for value in values]
        items = column(list(chain.from_iterable(lists)), kind.value_type)
        buffers = [valid, _offsets(map(len, lists))]
        return pa.Array.from_buffers(kind, len(values), buffers, children=[items])
    if pa.types.is_string(kind):
        # A lone surrogate, which UTF-8 has no bytes for, is written as Python would escape it.
        texts = [b"" if v is None else v.encode("utf-8", "backslashreplace") for v in values]
        buffers = [valid, _offsets(map(len, texts)), pa.py_buffer(b"".join(texts))]
    else:
        numbers = array(_TYPECODES[kind], (0 if value is None else value for value in values))
        buffers = [valid, pa.py_buffer(numbers)]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _offsets(lengths: Iterable[int]) -> pa.Buffer:
    return pa.py_buffer(array("i", accumulate(lengths, initial=0)))


def _bitmap(values: Sequence[Any]) -> pa.Buffer | None:
    """A bit a value, least significant first, set where there is one; ``None``: all there."""
    if not any(value is None for value in values):
        return None
    return pa.py_buffer(_bits(value is not None for value in values))


def _bits(values: Iterable[bool]) -> bytes:
    """A bit a value, least significant first."""
    every = list(values)
    bits = bytearray((len(every) + 7) // 8)
    for i, value in enumerate(every):
        bits[i // 8] |= value << i % 8
    return bytes(bits)
