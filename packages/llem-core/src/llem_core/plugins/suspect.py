"""Finds mistakes of plugins that Python and pluggy let pass."""

from __future__ import annotations

import difflib

import pluggy

from llem_core.contracts.section import Section
from llem_core.plugins.reasons import told


def unknown_hooks(manager: pluggy.PluginManager, plugin: object) -> list[str]:
    """A note for each ``@hookimpl`` of a plugin whose name is no hook."""
    known = [name for name, caller in vars(manager.hook).items() if caller.has_spec()]
    notes = []
    for name in sorted(set(dir(plugin)) - set(known)):
        # `parse_hookimpl_opts` calls what it looks at in some versions: ask for marked ones only.
        if name.startswith("llem_") and manager.parse_hookimpl_opts(plugin, name) is not None:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            notes.append(f"implements {name}, which is no hook{hint}")
    return notes


def why_unbuildable(section: type[Section] | None) -> str | None:
    """Why no configuration can be made with a section; ``None`` if it can."""
    if section is None:
        return None
    try:
        section.model_json_schema()
    except Exception as error:  # noqa: BLE001 - pydantic's errors, and those of a plugin's own code
        return f"its section {section.__name__} cannot be used: {told(error)}"
    return None
