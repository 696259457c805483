"""The conformance kit."""

from llem_core.testing import SinkContract

from llem_sqlite import hooks


class TestSqlite(SinkContract):
    plugin = hooks

    def section_in(self, folder):
        return {"path": str(folder / "r.sqlite")}
