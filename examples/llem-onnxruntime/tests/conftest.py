"""Tiny models, made once; nothing is downloaded."""

import pytest

from llem_onnxruntime.tiny import TinyShape, write_tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_without_cache(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("no-cache"), TinyShape(cache=False))
