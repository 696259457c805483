"""The rules of launchers, checked with real runs."""

from llem_core.testing.conformance.launching.rules import LauncherContract

__all__ = ["LauncherContract"]
