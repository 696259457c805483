"""The rules of backends that serve requests."""

from llem_core.testing.conformance.serving.rules import ServingContract

__all__ = ["ServingContract"]
