"""The sinks of core keep the contract."""

from __future__ import annotations

from llem_core.sinks import hooks
from llem_core.testing import SinkContract


class TestJson(SinkContract):
    plugin = hooks
    name = "json"


class TestParquet(SinkContract):
    plugin = hooks
    name = "parquet"
    may_import = frozenset({"pyarrow"})


class TestCsv(SinkContract):
    plugin = hooks
    name = "csv"
