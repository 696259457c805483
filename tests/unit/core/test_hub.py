"""A hub at whose address nobody answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("datasets")

PROGRAM = """
import logging
from llem_core.config.dataset import DatasetConfig
from llem_core.errors import PreFlightError
from llem_core.measure.prompts.hub import hub_prompts

try:
    hub_prompts(DatasetConfig(source="hf:nobody/nothing"), 1)
except PreFlightError as error:
    print(error)
"""


def test_a_hub_that_is_down_is_not_asked_again_and_again(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    environment.pop("HF_HUB_OFFLINE", None)
    environment |= {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be loaded" in done.stdout
    assert "Retry" not in done.stderr
