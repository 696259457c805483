"""The conformance kit."""

import shutil
import tempfile
from pathlib import Path

from llem_core.testing import SinkContract
from mlflow import MlflowClient

from llem_mlflow import hooks


def empty_store():
    """A store without a run; to make one takes MLflow seconds, and it tells of it."""
    file = Path(tempfile.mkdtemp()) / "empty.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


# Made before the kit listens: what the sink prints counts, and not what this test does.
EMPTY = empty_store()


class TestMlflow(SinkContract):
    plugin = hooks

    def section_in(self, folder):
        # Runs are kept away from the folders of results.
        store = Path(tempfile.mkdtemp()) / "mlflow.db"
        shutil.copy(EMPTY, store)
        return {"tracking_uri": f"sqlite:///{store}"}


def test_a_new_store_is_made_without_a_word(measure, capfd):
    measure()
    assert capfd.readouterr() == ("", "")
