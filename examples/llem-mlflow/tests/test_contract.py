"""The conformance kit."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from llem_core.testing import SinkContract
from mlflow import MlflowClient

from llem_mlflow import hooks


@cache
def empty_store():
    """A store without a run; to make one takes MLflow seconds."""
    file = Path(tempfile.mkdtemp()) / "empty.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


class TestMlflow(SinkContract):
    plugin = hooks

    def section_in(self, folder):
        # Runs are kept away from the folders of results.
        store = Path(tempfile.mkdtemp()) / "mlflow.db"
        shutil.copy(empty_store(), store)
        return {"tracking_uri": f"sqlite:///{store}"}
