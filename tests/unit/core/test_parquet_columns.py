"""Values as they come back from the columns that the parquet sink makes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from llem_core.sinks.columns import column, table


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, -3], pa.int64()),
        ([None, 2.5] * 9, pa.float64()),
        ([7, 8], pa.int32()),
        (["a", None, "", "ü"], pa.string()),
        ([["a"], None, [], ["b", "ü"]], pa.list_(pa.string())),
        ([(1, 2), (), (3,)], pa.list_(pa.int64())),
        ([None, None], pa.list_(pa.float64())),
        ([], pa.string()),
        ([], pa.list_(pa.float64())),
    ],
)
def test_values_come_back(values: list[Any], kind: pa.DataType) -> None:
    made = column(values, kind)
    made.validate(full=True)
    assert made.type == kind
    assert made.to_pylist() == [list(v) if isinstance(v, tuple) else v for v in values]


def test_a_table_has_its_rows_and_the_fields_of_its_schema() -> None:
    schema = pa.schema([pa.field("a", pa.int32(), metadata={"unit": "s"}), ("b", pa.string())])
    made = table([(1, "x"), (2, None)], schema)
    assert made.schema.equals(schema, check_metadata=True)
    assert made.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert table([], schema).num_rows == 0


@pytest.mark.parametrize(
    ("value", "kind", "error"),
    [
        ("x", pa.float64(), TypeError),
        (1.5, pa.int64(), TypeError),
        (2**40, pa.int32(), OverflowError),
    ],
)
def test_a_value_of_another_kind_is_refused(
    value: object, kind: pa.DataType, error: type[Exception]
) -> None:
    with pytest.raises(error):
        column([value], kind)


def test_writing_a_result_imports_no_pandas() -> None:
    """Every experiment's process would pay for it, where it is installed."""
    if importlib.util.find_spec("pandas") is None:
        pytest.skip("pandas is not installed: nothing could import it")
    code = """
import io, sys
import pyarrow as pa, pyarrow.parquet as pq
from llem_core.sinks.columns import table
from llem_core.sinks.raw_data import REQUESTS_SCHEMA
row = (0, 0, 0, 1, 2, 0.0, 1.0, None, 0.5, 0.5, (0.5, 1.0), (3, 4), "text", None,
       None, 0, 0.0, True, 0.5)
pq.write_table(table([row], REQUESTS_SCHEMA), io.BytesIO())
sys.exit("pandas" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_study_has_its_sinks_without_loading_pyarrow() -> None:
    """Its process would load it for nothing, and where memory is limited crash at its end."""
    code = """
import sys
from llem_core.sinks.hooks import llem_sinks
for spec in llem_sinks():
    spec.create(None if spec.section is None else spec.section())
sys.exit("pyarrow" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
