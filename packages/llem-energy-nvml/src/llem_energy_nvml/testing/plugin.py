"""The backend ``scripted`` as an installed plugin, for programs over simulated GPUs."""

from __future__ import annotations

from llem_core.contracts import BackendSpec, hookimpl
from llem_core.testing import scripted_backend

LLEM_CONTRACT = 2


@hookimpl
def llem_backends() -> list[BackendSpec]:
    """The scripted backend."""
    return [scripted_backend()]
