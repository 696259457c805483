"""The conformance kit, with a tiny model."""

import pytest
from llem_core.testing import BackendContract

from llem_onnxruntime import hooks


class TestOnnxRuntime(BackendContract):
    plugin = hooks


@pytest.fixture(autouse=True, scope="module")
def _model(tiny):
    TestOnnxRuntime.model = str(tiny)
