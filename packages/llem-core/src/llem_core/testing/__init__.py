"""Fakes for the tests of plugin authors and embedders: whole plugins without any hardware."""

from llem_core.testing.backend import ScriptedBackend, ScriptedConfig, scripted_backend
from llem_core.testing.plugin import FakePlugin
from llem_core.testing.sampler import ScriptedSampler, scripted_sampler
from llem_core.testing.sink import MemorySink, memory_sink

__all__ = [
    "FakePlugin",
    "MemorySink",
    "ScriptedBackend",
    "ScriptedConfig",
    "ScriptedSampler",
    "memory_sink",
    "scripted_backend",
    "scripted_sampler",
]
