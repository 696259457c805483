"""Finding plugins, and looking up what they offer by name."""

from llem_core.plugins.manager import LoadedPlugin, PluginProblem, Plugins, plugins, use_plugins
from llem_core.plugins.registry import Registry

__all__ = ["LoadedPlugin", "PluginProblem", "Plugins", "Registry", "plugins", "use_plugins"]
