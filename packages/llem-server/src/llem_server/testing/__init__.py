"""A server with scripted times and misbehaviours, for tests and benchmarks."""

from llem_server.testing.scripted import MISBEHAVIOURS, ScriptedHttpServer

__all__ = ["MISBEHAVIOURS", "ScriptedHttpServer"]
