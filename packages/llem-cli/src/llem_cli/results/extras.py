"""Commands whose work another distribution does, which need not be installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def needs_report(command: str) -> Iterator[None]:
    """Within the block llem-report is imported; where that fails the error says what to install.

    Args:
        command: what the user called, such as ``llem report``.

    Raises:
        PluginError: llem-report is not installed, or something that it needs is not.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        from llem_core.errors import PluginError

        raise PluginError(
            f"{command} needs the distribution llem-report, and the module {error.name} is not "
            "installed here. Install it beside llem: pip install 'llem-cli[report]'."
        ) from error
