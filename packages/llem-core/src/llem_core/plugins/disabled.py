"""Which plugins the user has turned off."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from llem_core.plugins.discover import Found, normal

DISABLE_VARIABLE = "LLEM_DISABLE_PLUGINS"
"""Names of plugins, by entry point or distribution, with commas between them."""


class Disabled:
    """The plugins that ``LLEM_DISABLE_PLUGINS`` names.

    Args:
        text: value of the variable.
    """

    def __init__(self, text: str) -> None:
        self._names = [name.strip() for name in text.split(",") if name.strip()]

    def covers(self, found: Found) -> bool:
        """Whether a plugin is turned off."""
        return any(normal(name) in _names(found) for name in self._names)

    def remarks(self, found: Iterable[Found]) -> list[str]:
        """A sentence for each name that turns nothing off."""
        known = sorted({name for each in found for name in _names(each)})
        return [
            f"{DISABLE_VARIABLE} names {name!r}, which is no installed plugin"
            + "".join(
                f"; did you mean {near!r}?"
                for near in difflib.get_close_matches(normal(name), known, n=1)
            )
            for name in self._names
            if normal(name) not in known
        ]


def _names(found: Found) -> set[str]:
    names = (found.distribution, found.point.name if found.point else None)
    return {normal(name) for name in names if name}
