from __future__ import annotations

import sys
from typing import Any, ClassVar

import pytest
from llem_core.testing import ServingContract
from llem_server import hooks


class TestServer(ServingContract):
    """The kit, over the scripted server."""

    plugin = hooks
    model = "scripted"
    missing_model = None
    section: ClassVar[dict[str, Any]] = {
        "command": [sys.executable, "-m", "llem_server.testing", "--port", "{port}"]
    }


def test_the_section_needs_a_way_to_the_server() -> None:
    with pytest.raises(ValueError, match="give base_url"):
        hooks.llem_backends()[0].section()
