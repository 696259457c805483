"""Turns whatever a plugin raises into the project's own errors, at the edge."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from llem_core.errors import BackendError, LLEMError


@contextlib.contextmanager
def backend_errors(doing: str) -> Iterator[None]:
    """Within the block, a foreign exception becomes a ``BackendError``.

    Args:
        doing: what the backend was asked for, for the message.
    """
    try:
        yield
    except LLEMError:
        raise
    # A backend is foreign code and may raise anything.
    except Exception as error:
        raise BackendError(
            f"the backend failed while {doing}: {type(error).__name__}: {error}"
        ) from error
