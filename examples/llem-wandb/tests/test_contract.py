"""The conformance kit."""

import tempfile

from llem_core.testing import SinkContract

from llem_wandb import hooks


class TestWandb(SinkContract):
    plugin = hooks

    def section_in(self, folder):
        # Runs are kept away from the folders of results.
        return {"folder": tempfile.mkdtemp()}
