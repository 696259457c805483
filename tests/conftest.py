"""Options of the test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption(
        "--faults", type=int, default=300, help="Faults that tests/faults inflicts at the least."
    )
    group.addoption(
        "--seed", type=int, default=None, help="Seed of tests/faults; drawn and printed if absent."
    )
